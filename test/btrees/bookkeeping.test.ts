import type { Oid } from '../../src/ids';
import { check } from '../../src/btrees/index';
import { oidOf } from '../../src/persistence/index';
import { listFixtures, readJson } from '../fixtures';
import { classOf, structureOf, type AnyMapping, type AnySet, type Kind } from './collections';
import { valueOf } from './notation';
import { hexOfOid, jarOf, oidOfHex, recordsOf } from './stored';

interface Step {
  op: string;
  args: unknown[];
  written: string[];
  new: string[];
  asked_to_stay_current: string[];
}
interface Bookkeeping {
  family: string;
  kind: Kind;
  max_leaf_size: number;
  max_internal_size: number;
  root: string;
  records_before: Record<string, string>;
  records_after: Record<string, string>;
  steps: Step[];
  structure_after: unknown;
}

function load(data: Record<string, string>): { jar: ReturnType<typeof jarOf>; log: { oids: Oid[] }[] } {
  const records = recordsOf(
    Object.entries(data).map(([oid, bytes]) => [oidOfHex(oid), Buffer.from(bytes, 'base64')] as const),
  );
  return { jar: jarOf(records), log: records.log };
}

function run(tree: AnyMapping & AnySet, { op, args }: Step): void {
  const [a, b] = args.map(valueOf);
  if (op === 'setitem') tree.set(a, b);
  else if (op === 'add') tree.insert(a, b);
  else if (op === 'delitem' || op === 'remove') tree.delete(a);
  else if (op === 'contains') tree.has(a);
  else if (op === 'get') tree.get(a);
  else if (op === 'minKey') tree.minKey();
  else throw new Error(`Unknown operation ${op}`);
}

interface Node {
  content: { leaf: boolean; slots: Node[]; length: number } | undefined;
  load(): Node['content'];
  child(content: unknown, index: number): Node;
}

/** Goes through two trees of one shape; calls back with the oids of nodes at the same place. */
function pair(ours: Node, theirs: Node, found: (ours: Oid, theirs: Oid) => void): void {
  const [a, b] = [ours.content ?? ours.load()!, theirs.content ?? theirs.load()!];
  const [mine, other] = [oidOf(ours), oidOf(theirs)];
  if (mine !== undefined && other !== undefined) found(mine, other);
  if (a.leaf) return;
  for (let i = 0; i < a.length; i++) pair(ours.child(a, i), theirs.child(b, i), found);
}

describe.each(listFixtures('btrees', '.json').filter((name) => name.startsWith('bookkeeping-')))(
  '%s',
  (file) => {
    const data = readJson('btrees', file) as Bookkeeping;
    const { family, kind, root, steps } = data;
    const type = classOf(family, kind) as unknown as { maxLeafSize: number; maxInternalSize: number };
    const sizes = { maxLeafSize: type.maxLeafSize, maxInternalSize: type.maxInternalSize };
    beforeAll(() =>
      Object.assign(type, { maxLeafSize: data.max_leaf_size, maxInternalSize: data.max_internal_size }),
    );
    afterAll(() => Object.assign(type, sizes));

    it('writes the nodes that Python writes, and asks that the same ones stay', () => {
      const { jar, log } = load(data.records_before);
      const tree = jar.cache.get(oidOfHex(root)) as AnyMapping & AnySet;
      const known = new Set(Object.keys(data.records_before));
      const seen = steps.map((step) => {
        jar.readCurrents.length = 0;
        run(tree, step);
        const before = log.length;
        jar.commit();
        const oids = log.slice(before).flatMap((entry) => entry.oids);
        check(tree);
        const written = oids.map(hexOfOid);
        const made = written.filter((oid) => !known.has(oid));
        made.forEach((oid) => known.add(oid));
        return {
          written: written.filter((oid) => !made.includes(oid)),
          made,
          current: [...new Set(jar.readCurrents.map(hexOfOid))],
        };
      });
      expect(structureOf(tree)).toEqual(plain(data.structure_after));

      // New nodes get their oids in another order: those at the same place in the end are the same.
      const names = new Map<string, string>();
      const theirs = load(data.records_after).jar.cache.get(oidOfHex(root));
      pair(tree as unknown as Node, theirs as unknown as Node, (a, b) => names.set(hexOfOid(a), hexOfOid(b)));
      const name = (oid: string): string => names.get(oid) ?? (oid in data.records_before ? oid : 'gone');
      const survivors = new Set(names.values());
      const theirName = (oid: string): string =>
        oid in data.records_before || survivors.has(oid) ? oid : 'gone';
      steps.forEach((step, i) => {
        const got = seen[i]!;
        expect({
          step: [i, step.op, step.args],
          written: got.written.map(name).sort(),
          made: got.made.map(name).sort(),
          current: got.current.map(name).sort(),
        }).toEqual({
          step: [i, step.op, step.args],
          written: step.written.map(theirName).sort(),
          made: step.new.map(theirName).sort(),
          current: step.asked_to_stay_current.map(theirName).sort(),
        });
      });
    });
  },
);

interface Structure {
  k: unknown[];
  v?: unknown[];
  c?: Structure[];
}

function plain(structure: unknown): unknown {
  if (structure === null) return null;
  const { k, v, c } = structure as Structure;
  return { k: k.map(valueOf), ...(v && { v: v.map(valueOf) }), ...(c && { c: c.map(plain) }) };
}
