/** What is on the board. The names in the decorator are those under which every program finds the class. */
import { persistent, PersistentList } from 'zodb';

@persistent('board.Note')
export class Note {
  readonly author: string;
  readonly text: string;

  constructor(author: string, text: string) {
    this.author = author;
    this.text = text;
  }
}

/** Makes the board when it is not there yet. */
export const root = { notes: () => new PersistentList<Note>() };
