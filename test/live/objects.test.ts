/** Objects that both sides read and change: fields, references, weak references, mappings, lists. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DB,
  field,
  persistent,
  PersistentList,
  PersistentMapping,
  PersistentWeakKeyDictionary,
  TransactionManager,
  WeakRef,
} from 'zodb';
import { missingZodb, python } from './python-zodb';

const missing = missingZodb();

@persistent('live_bank.Account')
class Account {
  @field('float') balance = 5;
  count = 3;
  tags: string[] = ['a'];
  when = new Date(Date.UTC(2026, 0, 2, 3, 4, 5));
  friend: Account | null = null;
  ref: WeakRef | null = null;
  [extra: `n${string}`]: unknown;

  constructor(public owner: string) {}
}

@persistent('live_bank.Shelf')
class Shelf extends PersistentMapping<string, Account> {
  label = 'first';
}

if (missing !== undefined) {
  it(`is not run: ${missing}`, () => expect(missing).toBeDefined());
} else {
  test('what either stores, the other reads and changes', () => {
    const directory = mkdtempSync(join(tmpdir(), 'zodb-live-objects-'));
    const path = join(directory, 'Data.fs');
    try {
      const first = new DB(path);
      first.transaction((root: Record<string, unknown>) => {
        const [ada, bob] = [new Account('ada'), new Account('bob')];
        ada.friend = bob;
        bob.friend = ada;
        ada.ref = new WeakRef(bob);
        root['ada'] = ada;
        root['bob'] = bob;
        root['shelf'] = new Shelf([['ada', ada]]);
        root['list'] = new PersistentList<unknown>([1, bob]);
        root['weak'] = new PersistentWeakKeyDictionary([[ada, 'of ada']]);
      });
      first.close();

      const { status, stdout, stderr } = spawnSync(python, [join(__dirname, 'objects.py'), path], {
        encoding: 'utf8',
      });
      expect(status === 0 ? '' : stderr).toBe('');
      expect(JSON.parse(stdout)).toEqual({
        classes: [
          'live_bank.Account',
          'live_bank.Shelf',
          'persistent.list.PersistentList',
          'persistent.wref.PersistentWeakKeyDictionary',
        ],
        ada: ['balance', 'count', 'friend', 'owner', 'ref', 'tags', 'when'],
        types: {
          balance: 'float',
          count: 'int',
          friend: 'Account',
          owner: 'str',
          ref: 'WeakRef',
          tags: 'list',
          when: 'datetime',
        },
        friend: true,
        tags: ['a'],
        when: '2026-01-02T03:04:05+00:00',
        shelf: [['ada'], true, 'first'],
        list: [1, true, 2],
        ref: true,
        weak: 'of ada',
      });

      const db = new DB(path);
      const conn = db.open({ transactionManager: new TransactionManager() });
      const root = conn.root as unknown as {
        ada: Account;
        bob: Account;
        shelf: Shelf;
        list: unknown[];
        weak: PersistentWeakKeyDictionary;
        made: PersistentMapping<unknown, unknown>[];
      };
      expect([root.ada.balance, root.ada.tags, root.ada['note']]).toEqual([7, ['a', 'python'], ['tuple', 1]]);
      expect(Object.isFrozen(root.ada['note'])).toBe(true);
      expect([root.shelf.get('new')!.owner, root.shelf.label, root.shelf.size]).toEqual([
        'made by Python',
        'changed',
        2,
      ]);
      expect(root.list[2]).toBe(root.ada);
      expect(root.ada.ref!.deref()).toBe(root.shelf);
      expect([root.weak.get(root.ada), root.weak.get(root.bob)]).toEqual(['of ada', 'added']);
      expect([...root.made[0]!]).toEqual([
        [1, 'one'],
        ['two', [2]],
      ]);
      conn.close();
      db.close();
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}
