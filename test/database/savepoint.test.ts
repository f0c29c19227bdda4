/** Savepoints of connections (`ZODB/src/ZODB/tests/testConnectionSavepoint.py`). */
import { InvalidSavepointRollbackError, oidOf, persistent, POSKeyError } from 'zodb';
import { onEveryDatabase, user } from './databases';

@persistent('test.savepoint.Note')
class Note {
  text = '';
  lines: string[] = [];
  next: Note | null = null;

  constructor(text = '') {
    this.text = text;
  }
}

onEveryDatabase('savepoint', (open) => {
  test('a rollback brings back fields, nested values, and removes objects made since', () => {
    const db = open();
    const ann = user(db);
    ann.root.note = new Note('one');
    ann.commit();
    const note = ann.root.note as Note;
    note.text = 'two';
    note.lines.push('kept');
    note.next = new Note('before');
    const savepoint = ann.transactionManager.savepoint();
    note.text = 'three';
    note.lines.push('lost');
    const late = new Note('after');
    note.next!.next = late;
    savepoint.rollback();
    expect([note.text, note.lines, note.next!.text, note.next!.next]).toEqual([
      'two',
      ['kept'],
      'before',
      null,
    ]);
    expect(oidOf(late)).toBeUndefined();
    ann.commit();
    const ben = user(db);
    expect((ben.root.note as Note).next!.text).toBe('before');
    expect((ben.root.note as Note).lines).toEqual(['kept']);
  });

  test('changes that nobody announced are saved by a savepoint and undone by a rollback', () => {
    const db = open();
    const ann = user(db);
    ann.root.note = new Note();
    ann.commit();
    const { lines } = ann.root.note as Note;
    lines.push('before');
    const savepoint = ann.transactionManager.savepoint();
    (ann.root.note as Note).lines.push('after');
    savepoint.rollback();
    expect((ann.root.note as Note).lines).toEqual(['before']);
    ann.commit();
    expect((user(db).root.note as Note).lines).toEqual(['before']);
  });

  test('modify, savepoint, modify, commit: all is saved; abort after it: nothing', () => {
    const db = open();
    const ann = user(db);
    ann.root.a = 1;
    ann.transactionManager.savepoint();
    ann.root.b = 2;
    ann.commit();
    expect({ ...user(db).root }).toEqual({ a: 1, b: 2 });
    ann.root.c = 3;
    ann.transactionManager.savepoint();
    ann.root.d = 4;
    ann.abort();
    expect({ ...ann.root }).toEqual({ a: 1, b: 2 });
    expect({ ...user(db).root }).toEqual({ a: 1, b: 2 });
  });

  test('nested savepoints: going back to the outer one ends the inner one', () => {
    const db = open();
    const ann = user(db);
    ann.root.value = 0;
    const outer = ann.transactionManager.savepoint();
    ann.root.value = 1;
    const inner = ann.transactionManager.savepoint();
    ann.root.value = 2;
    inner.rollback();
    expect(ann.root.value).toBe(1);
    ann.root.value = 3;
    inner.rollback();
    expect(ann.root.value).toBe(1);
    outer.rollback();
    expect(ann.root.value).toBe(0);
    expect(() => inner.rollback()).toThrow(InvalidSavepointRollbackError);
  });

  test('objects saved by a savepoint can be evicted and are read back from it', () => {
    const db = open();
    const ann = user(db);
    const note = new Note('saved');
    ann.root.note = note;
    ann.transactionManager.savepoint();
    const oid = oidOf(note)!;
    ann.cacheMinimize();
    expect((ann.get(oid) as Note).text).toBe('saved');
    ann.abort();
    expect(() => ann.get(oid)).toThrow(POSKeyError);
  });

  test('a new object that was evicted after a savepoint keeps its fields when an abort or a rollback sets it free', () => {
    const db = open();
    const ann = user(db);
    ann.root.old = new Note('old');
    ann.commit();
    const before = ann.transactionManager.savepoint();
    for (const end of [() => before.rollback(), () => ann.abort()]) {
      const note = new Note('mine');
      note.lines = ['a', 'b'];
      ann.root.note = note;
      (ann.root.old as Note).text = 'changed';
      ann.transactionManager.savepoint();
      ann.cacheMinimize();
      end();
      expect([note.text, note.lines, oidOf(note)]).toEqual(['mine', ['a', 'b'], undefined]);
      expect((ann.root.old as Note).text).toBe('old');
      expect(ann.root.note).toBeUndefined();
    }
  });

  test('others see nothing of a savepoint', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.x = 1;
    ann.transactionManager.savepoint();
    ben.sync();
    expect(ben.root.x).toBeUndefined();
  });

  test('the snapshot stays across savepoints', () => {
    const db = open();
    const [ann, ben] = [user(db), user(db)];
    ann.root.mine = 1;
    ann.transactionManager.savepoint();
    ben.root.theirs = 1;
    ben.commit();
    expect(ann.root.theirs).toBeUndefined();
  });

  test('a cache smaller than the transaction is kept small by savepoints', () => {
    const db = open({ cacheSize: 50 });
    const ann = user(db);
    for (let batch = 0; batch < 10; batch++) {
      for (let i = 0; i < 100; i++) ann.root[`n${batch}-${i}`] = new Note(`${batch}-${i}`);
      ann.transactionManager.savepoint();
    }
    ann.commit();
    expect((user(db).root['n7-42'] as Note).text).toBe('7-42');
    expect(Object.keys(user(db).root)).toHaveLength(1000);
  });
});
