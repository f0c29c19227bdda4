"""Pins a note to the board from Python.

    python samples/shared-board/pin.py HOST:PORT TEXT        needs: pip install ZEO
"""
import sys
import types

import persistent
import transaction
import ZEO

# The class is found by its name: board.Note, as in board.ts. Here there is no file board.py, so the module is made.
board = types.ModuleType('board')
sys.modules['board'] = board


class Note(persistent.Persistent):
    def __init__(self, author, text):
        self.author = author
        self.text = text


Note.__module__ = 'board'
board.Note = Note

if len(sys.argv) != 3:
    sys.exit('Usage: pin.py HOST:PORT TEXT')
host, port = sys.argv[1].rsplit(':', 1)
connection = ZEO.connection((host, int(port)))
# Others may pin at the same time: it is done again until it fits.
for attempt in transaction.manager.attempts():
    with attempt:
        connection.root()['notes'].append(Note('Python', sys.argv[2]))
connection.close()
