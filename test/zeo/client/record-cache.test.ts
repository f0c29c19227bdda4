import { fork } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { openCacheFile, openMemoryCache } from '../../../src/zeo/client/cache-file';
import type { RecordCache } from '../../../src/zeo/client/record-cache';
import { MAX_TID, type Oid, type Tid } from '../../../src/ids';

const directory = mkdtempSync(join(tmpdir(), 'zodb-zeo-cache-'));
let made = 0;
const path = (): string => join(directory, `cache-${++made}.zec`);
const tid = (value: number): Tid => BigInt(value) as Tid;
const oid = (value: number): Oid => value as Oid;
const data = (text: string | number): Buffer => Buffer.from(String(text));
const scale = Number(process.env.ZODB_SOAK ?? 1);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('RecordCache', () => {
  it('finds the revision that was current before a tid', () => {
    const cache = openMemoryCache(100_000);
    cache.store(oid(1), tid(10), tid(20), data('ten'));
    cache.store(oid(1), tid(20), undefined, data('twenty'));
    expect(cache.load(oid(1), tid(10))).toBeUndefined();
    expect(cache.load(oid(1), tid(11))).toMatchObject({ data: data('ten'), start: 10n, end: 20n });
    expect(cache.load(oid(1), tid(20))).toMatchObject({ data: data('ten') });
    expect(cache.load(oid(1), tid(21))).toMatchObject({ data: data('twenty'), end: undefined });
    expect(cache.load(oid(1), MAX_TID)).toMatchObject({ data: data('twenty') });
    expect(cache.statistics).toMatchObject({ hits: 4, misses: 1, records: 2, stored: 2 });
  });

  describe('a load in flight across an invalidation', () => {
    it('answer, then invalidation: the record ends there', () => {
      const cache = openMemoryCache(100_000);
      cache.store(oid(1), tid(10), undefined, data('old'));
      cache.invalidate(oid(1), tid(30));
      expect(cache.load(oid(1), MAX_TID)).toBeUndefined();
      expect(cache.load(oid(1), tid(30))).toMatchObject({ data: data('old'), end: 30n });
    });

    it('invalidation, then an answer computed after it: the new record is current', () => {
      const cache = openMemoryCache(100_000);
      cache.invalidate(oid(1), tid(30));
      cache.store(oid(1), tid(30), undefined, data('new'));
      expect(cache.load(oid(1), MAX_TID)).toMatchObject({ data: data('new') });
    });

    it('an answer that is newer than the invalidation that follows it stays current', () => {
      const cache = openMemoryCache(100_000);
      cache.store(oid(1), tid(30), undefined, data('new'));
      cache.invalidate(oid(1), tid(30));
      expect(cache.load(oid(1), MAX_TID)).toMatchObject({ data: data('new') });
    });

    it('invalidation, then an answer about the time before it: the record is an old one', () => {
      const cache = openMemoryCache(100_000);
      cache.invalidate(oid(1), tid(30));
      cache.store(oid(1), tid(10), tid(30), data('old'));
      expect(cache.load(oid(1), MAX_TID)).toBeUndefined();
      expect(cache.load(oid(1), tid(25))).toMatchObject({ data: data('old') });
    });

    it.each(['answer first', 'invalidation first'])('%s, then a restart: nothing stale is found', (order) => {
      const file = path();
      const before = openCacheFile(file, 50_000);
      if (order === 'answer first') before.cache.store(oid(1), tid(10), undefined, data('old'));
      before.cache.invalidate(oid(1), tid(30));
      before.cache.setLastTid(tid(30));
      if (order !== 'answer first') before.cache.store(oid(1), tid(10), tid(30), data('old'));
      before.close();
      const after = openCacheFile(file, 50_000);
      expect(after.reused).toBe(true);
      expect(after.cache.lastTid).toBe(30n);
      expect(after.cache.load(oid(1), MAX_TID)).toBeUndefined();
      expect(after.cache.load(oid(1), tid(30))).toMatchObject({ data: data('old'), end: 30n });
      after.close();
    });
  });

  it('never returns what a model of it does not allow, in memory and in a file that is opened anew', () => {
    const step = fc.oneof(
      fc.record({
        op: fc.constant('store' as const),
        oid: fc.integer({ min: 1, max: 12 }),
        size: fc.integer({ min: 0, max: 400 }),
      }),
      fc.record({
        op: fc.constant('commit' as const),
        oid: fc.integer({ min: 1, max: 12 }),
        size: fc.constant(0),
      }),
      fc.record({
        op: fc.constant('load' as const),
        oid: fc.integer({ min: 1, max: 12 }),
        size: fc.constant(0),
      }),
      fc.record({ op: fc.constant('reopen' as const), oid: fc.constant(0), size: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.boolean(), (steps, inFile) => {
        const file = path();
        let opened = inFile ? openCacheFile(file, 4096) : undefined;
        let cache: RecordCache = opened?.cache ?? openMemoryCache(4096);
        // What the server has: for each object the tids of its revisions.
        const revisions = new Map<number, number[]>();
        let last = 1;
        for (const { op, oid: number, size } of steps) {
          const known = revisions.get(number) ?? [1];
          if (op === 'commit') {
            last++;
            revisions.set(number, [...known, last]);
            cache.invalidate(oid(number), tid(last));
            cache.setLastTid(tid(last));
          } else if (op === 'store') {
            const index = size % known.length;
            const end = known[index + 1];
            const content = Buffer.concat([
              data(`${number}@${known[index]}:`),
              Buffer.alloc(size, known[index]),
            ]);
            cache.store(oid(number), tid(known[index]!), end === undefined ? undefined : tid(end), content);
          } else if (op === 'load') {
            for (let before = 1; before <= last + 1; before++) {
              const found = cache.load(oid(number), tid(before));
              if (!found) continue;
              const start = known.findLast((each) => each < before);
              expect(found.start).toBe(BigInt(start!));
              expect(found.data.toString('latin1').startsWith(`${number}@${start}:`)).toBe(true);
            }
          } else if (opened) {
            opened.close();
            opened = openCacheFile(file, 4096);
            expect(opened.reused).toBe(true);
            cache = opened.cache;
          }
        }
        opened?.close();
      }),
      { numRuns: 150 * scale },
    );
  });

  it('keeps within its size, and keeps what is used', () => {
    const cache = openMemoryCache(40_000);
    cache.store(oid(0), tid(1), undefined, data('hot'));
    for (let number = 1; number < 2000; number++) {
      cache.store(oid(number), tid(1), undefined, Buffer.alloc(100, number));
      cache.load(oid(0), MAX_TID);
    }
    const { bytes, size, evicted } = cache.statistics;
    expect(bytes).toBeLessThanOrEqual(size);
    expect(evicted).toBeGreaterThan(1500);
    expect(cache.load(oid(0), MAX_TID)?.data.toString()).toBe('hot');
    expect(cache.load(oid(1999), MAX_TID)?.data.length).toBe(100);
    expect(cache.load(oid(1), MAX_TID)).toBeUndefined();
  });

  it('does not take what is larger than itself', () => {
    const cache = openMemoryCache(5000);
    cache.store(oid(1), tid(1), undefined, Buffer.alloc(6000));
    expect(cache.load(oid(1), MAX_TID)).toBeUndefined();
  });
});

describe('a cache file', () => {
  function filled(file: string): void {
    const { cache, close } = openCacheFile(file, 30_000);
    for (let number = 1; number <= 100; number++) {
      cache.store(oid(number), tid(number), undefined, data(`record ${number}`));
    }
    cache.setLastTid(tid(100));
    close();
  }

  it.each([
    ['truncated', (file: string) => truncateSync(file, 10_000)],
    ['longer than it was', (file: string) => appendFileSync(file, 'x')],
    ['empty', (file: string) => writeFileSync(file, '')],
    ['something else', (file: string) => writeFileSync(file, Buffer.alloc(30_000, 'x'))],
    [
      'damaged in its structure',
      (file: string) => {
        const bytes = readFileSync(file);
        bytes.fill(0xff, 12, 20);
        writeFileSync(file, bytes);
      },
    ],
  ])('that is %s is put aside, and a new one begun', (_, damage) => {
    const file = path();
    filled(file);
    damage(file);
    const opened = openCacheFile(file, 30_000);
    expect(opened.reused).toBe(false);
    expect(opened.cache.lastTid).toBe(0n);
    expect(opened.cache.statistics.records).toBe(0);
    opened.close();
    expect(readFileSync(`${file}.bad`)).toBeDefined();
  });

  it('with flipped bits never returns a wrong record', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 12, max: 5500 }), fc.integer({ min: 0, max: 7 })), {
          minLength: 1,
          maxLength: 8,
        }),
        (flips) => {
          const file = path();
          filled(file);
          const bytes = readFileSync(file);
          for (const [at, bit] of flips) bytes[at] = bytes[at]! ^ (1 << bit);
          writeFileSync(file, bytes);
          const { cache, close } = openCacheFile(file, 30_000);
          for (let number = 1; number <= 100; number++) {
            const found = cache.load(oid(number), MAX_TID);
            if (found)
              expect([found.data.toString(), found.start]).toEqual([`record ${number}`, BigInt(number)]);
          }
          close();
        },
      ),
      { numRuns: 60 * scale },
    );
  });

  it('that was in use when the machine went down is not believed', () => {
    const file = path();
    filled(file);
    writeFileSync(`${file}.state`, JSON.stringify({ closed: false, boot: 'another run of the machine' }));
    const opened = openCacheFile(file, 30_000);
    expect(opened.reused).toBe(false);
    opened.close();
  });

  it('is refused to a second user, and taken over from a process that is no more', async () => {
    const file = path();
    const first = openCacheFile(file, 30_000);
    expect(() => openCacheFile(file, 30_000)).toThrow(/uses this client cache/);
    first.close();
    const child = fork('-e', ['0'], { execArgv: [], stdio: 'ignore' });
    const { pid } = child;
    await new Promise((resolve) => child.once('exit', resolve));
    writeFileSync(`${file}.lock`, `${pid} 1\n`);
    const second = openCacheFile(file, 30_000);
    expect(second.reused).toBe(true);
    second.close();
  });
});
