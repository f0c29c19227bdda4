import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { check } from '../../src/btrees/index';
import type { Oid } from '../../src/ids';
import { markChanged } from '../../src/persistence/index';
import { fixturePath, listFixtures, readJson } from '../fixtures';
import type { AnyMapping, AnySet } from './collections';
import { valueOf } from './notation';
import { hexOfOid, jarOf, oidOfHex, recordsOf } from './stored';

interface Case {
  label: string;
  kind: string;
  class: [module: string, name: string];
  root: string;
  content: unknown[];
  records: { oid: string; data: string }[];
}

/** Loads every node and stores it again. */
function rewritten(records: ReturnType<typeof recordsOf>): Map<Oid, string> {
  const jar = jarOf(records);
  for (const oid of records.revisions.keys()) markChanged(jar.cache.get(oid));
  jar.commit();
  return new Map(
    [...records.revisions].map(([oid, list]) => [oid, Buffer.from(list.at(-1)!.data).toString('base64')]),
  );
}

describe.each(listFixtures('records/btrees', '.json').filter((name) => !name.endsWith('.recs.json')))(
  '%s',
  (file) => {
    const { cases } = readJson('records', 'btrees', file) as { cases: Case[] };

    it.each(cases)('reads $label $kind', ({ class: [, name], root, content, records }) => {
      const jar = jarOf(
        recordsOf(records.map(({ oid, data }) => [oidOfHex(oid), Buffer.from(data, 'base64')])),
      );
      const tree = jar.cache.get(oidOfHex(root)) as AnyMapping | AnySet;
      expect(tree.constructor.name).toBe(name);
      expect([...tree]).toEqual(content.map(valueOf));
      expect(tree.size).toBe(content.length);
      check(tree);
    });

    it('writes the bytes that it read', () => {
      for (const { label, kind, records } of cases) {
        const written = rewritten(
          recordsOf(records.map(({ oid, data }) => [oidOfHex(oid), Buffer.from(data, 'base64')])),
        );
        for (const { oid, data } of records) {
          expect([label, kind, oid, written.get(oidOfHex(oid))]).toEqual([label, kind, oid, data]);
        }
      }
    });
  },
);

describe.each(listFixtures('records/btrees', '.recs'))('%s', (file) => {
  const about = readJson('records', 'btrees', `${file}.json`) as {
    root: string;
    record_count: number;
    length: number;
    items_sha256: string;
  };
  const bytes = readFileSync(fixturePath('records', 'btrees', file));
  const entries: [Oid, Uint8Array][] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32BE(at + 8);
    entries.push([oidOfHex(bytes.toString('hex', at, at + 8)), bytes.subarray(at + 12, at + 12 + length)]);
    at += 12 + length;
  }

  it('reads a tree of several levels', () => {
    expect(entries.length).toBe(about.record_count);
    const tree = jarOf(recordsOf(entries)).cache.get(oidOfHex(about.root)) as AnyMapping;
    const hash = createHash('sha256');
    let count = 0;
    for (const [key, value] of tree) {
      hash.update(`${String(key)}\t${String(value)}\n`);
      count += 1;
    }
    expect([count, hash.digest('hex')]).toEqual([about.length, about.items_sha256]);
    check(tree);
  });

  it('writes the bytes that it read', () => {
    const written = rewritten(recordsOf(entries));
    const differing = entries.filter(
      ([oid, data]) => written.get(oid) !== Buffer.from(data).toString('base64'),
    );
    expect(differing.map(([oid]) => hexOfOid(oid))).toEqual([]);
  });
});
