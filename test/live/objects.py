"""Reads and changes, with Python's own classes, what the TypeScript side stored; prints what it saw as one line of JSON."""
import datetime
import json
import sys
import types

import transaction
from persistent import Persistent
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping
from persistent.wref import PersistentWeakKeyDictionary, WeakRef
from ZODB.DB import DB
from ZODB.FileStorage import FileStorage


class Account(Persistent):
    pass


class Shelf(PersistentMapping):
    pass


module = types.ModuleType('live_bank')
for cls in (Account, Shelf):
    cls.__module__ = 'live_bank'
    setattr(module, cls.__name__, cls)
sys.modules['live_bank'] = module

db = DB(FileStorage(sys.argv[1]))
root = db.open().root()
ada, bob, shelf = root['ada'], root['bob'], root['shelf']
ada._p_activate()
seen = {
    'classes': [type(x).__module__ + '.' + type(x).__name__ for x in (ada, shelf, root['list'], root['weak'])],
    'ada': sorted(ada.__dict__),
    'types': {name: type(value).__name__ for name, value in sorted(ada.__dict__.items())},
    'friend': ada.friend is bob and bob.friend is ada,
    'tags': list(ada.tags),
    'when': ada.when.isoformat(),
    'shelf': [sorted(shelf.keys()), shelf['ada'] is ada, shelf.label],
    'list': [root['list'][0], root['list'][1] is bob, len(root['list'])],
    'ref': ada.ref() is bob,
    'weak': root['weak'][ada],
}

ada.balance = 7.0
ada.tags.append('python')
ada._p_changed = True
ada.note = ('tuple', 1)
shelf['new'] = Account()
shelf['new'].owner = 'made by Python'
shelf.label = 'changed'
root['list'].append(ada)
ada.ref = WeakRef(shelf)
root['weak'][bob] = 'added'
root['weak']._p_changed = True
root['made'] = PersistentList([PersistentMapping({1: 'one', 'two': [2]})])
transaction.commit()
db.close()
print(json.dumps(seen))
