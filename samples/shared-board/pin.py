"""Pins a note to the board from Python:  python pin.py HOST:PORT TEXT"""
import sys
import types

import persistent
import transaction
import ZEO

board = types.ModuleType('board')
sys.modules['board'] = board


class Note(persistent.Persistent):
    def __init__(self, author, text):
        self.author = author
        self.text = text


Note.__module__ = 'board'
board.Note = Note

host, port = sys.argv[1].rsplit(':', 1)
connection = ZEO.connection((host, int(port)))
connection.root()['notes'].append(Note('Python', sys.argv[2]))
transaction.commit()
connection.close()
