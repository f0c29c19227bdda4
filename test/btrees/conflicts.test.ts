import { families, Length, type Family } from '../../src/btrees/index';
import { BTreesConflictError } from '../../src/btrees/index';
import { listFixtures, readJsonLines } from '../fixtures';
import { familyOf, valueOf, withoutFloatMarks } from './notation';

interface Case {
  label: string;
  class: [module: string, name: string];
  old: unknown;
  committed: unknown;
  new: unknown;
  resolved?: unknown;
  error?: { type: string; positions?: number[]; reason?: number; message: string };
}

function mergerOf(
  family: string,
  name: string,
): (old: unknown, committed: unknown, mine: unknown) => unknown {
  if (family === 'Length')
    return (old, committed, mine) => new Length()._p_resolveConflict(old, committed, mine);
  const kind = name.slice(2) as 'BTree' | 'Bucket' | 'TreeSet' | 'Set';
  const collection = new (families[family] as Family)[kind]();
  return (collection as unknown as { _p_resolveConflict(a: unknown, b: unknown, c: unknown): unknown })
    ._p_resolveConflict;
}

describe.each(listFixtures('btrees', '.jsonl').filter((name) => name.startsWith('conflicts-')))(
  '%s',
  (file) => {
    const family = familyOf(file);
    const cases = readJsonLines('btrees', file) as Case[];

    it('merges what Python merges', () => {
      const mergeable = cases.filter((one) => 'resolved' in one);
      for (const one of mergeable) {
        const merge = mergerOf(family, one.class[1]);
        const result = {
          label: one.label,
          merged: withoutFloatMarks(merge(valueOf(one.old), valueOf(one.committed), valueOf(one.new))),
        };
        expect(result).toEqual({ label: one.label, merged: valueOf(one.resolved) });
      }
    });

    it('refuses what Python refuses, for the same reason', () => {
      for (const one of cases.filter(({ error }) => error !== undefined)) {
        const merge = mergerOf(family, one.class[1]);
        let thrown: unknown;
        try {
          merge(valueOf(one.old), valueOf(one.committed), valueOf(one.new));
        } catch (error) {
          thrown = error;
        }
        const { type, positions, reason, message } = one.error!;
        if (type !== 'BTreesConflictError') {
          expect([one.label, thrown instanceof Error]).toEqual([one.label, true]);
        } else {
          expect(thrown).toBeInstanceOf(BTreesConflictError);
          const { positions: at, reason: code, message: text } = thrown as BTreesConflictError;
          expect([one.label, at, code, text]).toEqual([one.label, positions, reason, message]);
        }
      }
    });
  },
);
