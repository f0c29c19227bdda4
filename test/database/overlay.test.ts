import fc from 'fast-check';
import type { Oid, Tid } from '../../src/ids';
import { Overlay, type OverlayRecord } from '../../src/database/overlay';

const record = (text: string, serial = 1n): OverlayRecord => ({
  data: Buffer.from(text),
  serial: serial as Tid,
  references: [],
  className: 'a.B',
});
const text = (overlay: Overlay, oid: number) => {
  const found = overlay.get(oid as Oid);
  return found && Buffer.from(found.data).toString();
};

test('the newest record of an oid is found, and a rollback brings back the one before', () => {
  const overlay = new Overlay();
  overlay.set(1 as Oid, record('one'));
  const mark = overlay.mark;
  overlay.set(1 as Oid, record('two'));
  overlay.set(2 as Oid, record('new'));
  expect([text(overlay, 1), text(overlay, 2)]).toEqual(['two', 'new']);
  overlay.rollback(mark);
  expect([text(overlay, 1), text(overlay, 2)]).toEqual(['one', undefined]);
});

test('oids come in ascending order, each once', () => {
  const overlay = new Overlay();
  for (const oid of [7, 3, 7, 5]) overlay.set(oid as Oid, record('x'));
  expect(overlay.oids()).toEqual([3, 5, 7]);
});

test('against a model, with records in memory and in the spill file', () => {
  const command = fc.oneof(
    fc.record({
      do: fc.constant('set' as const),
      oid: fc.integer({ min: 0, max: 5 }),
      data: fc.string({ maxLength: 40 }),
    }),
    fc.record({ do: fc.constant('mark' as const) }),
    fc.record({ do: fc.constant('rollback' as const), to: fc.nat(10) }),
    fc.record({ do: fc.constant('clear' as const) }),
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), fc.integer({ min: 0, max: 100 }), (commands, spill) => {
      const overlay = new Overlay(spill);
      let model = new Map<number, string>();
      let marks: { mark: number; model: Map<number, string> }[] = [];
      try {
        for (const step of commands) {
          if (step.do === 'set') {
            overlay.set(step.oid as Oid, record(step.data));
            model.set(step.oid, step.data);
          } else if (step.do === 'mark') {
            marks.push({ mark: overlay.mark, model: new Map(model) });
          } else if (step.do === 'rollback' && marks.length > 0) {
            const index = step.to % marks.length;
            overlay.rollback(marks[index]!.mark);
            model = new Map(marks[index]!.model);
            marks = marks.slice(0, index + 1);
          } else if (step.do === 'clear') {
            overlay.clear();
            model = new Map();
            marks = [];
          }
          for (let oid = 0; oid <= 5; oid++) expect(text(overlay, oid)).toBe(model.get(oid));
          expect(overlay.size).toBe(model.size);
        }
      } finally {
        overlay.clear();
      }
    }),
  );
});
