import { fork } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { openCacheFile, openMemoryCache } from '../../../src/zeo/client/cache-file';
import type { CacheMedium } from '../../../src/zeo/client/cache-medium';
import { RecordCache } from '../../../src/zeo/client/record-cache';
import { MAX_TID, type Oid, type Tid } from '../../../src/ids';

const directory = mkdtempSync(join(tmpdir(), 'zodb-zeo-cache-'));
let made = 0;
const path = (): string => join(directory, `cache-${++made}.zec`);
const tid = (value: number): Tid => BigInt(value) as Tid;
const oid = (value: number): Oid => value as Oid;
const data = (text: string | number): Buffer => Buffer.from(String(text));
const scale = Number(process.env.ZODB_SOAK ?? 1);

/** The bytes of a cache file, without the file. */
class FileInMemory implements CacheMedium {
  readonly canBeDamaged = true;
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = Buffer.from(bytes);
  }

  read(target: Buffer, position: number): void {
    target.fill(0);
    this.bytes.copy(target, 0, position, position + target.length);
  }

  write(bytes: Uint8Array, position: number): void {
    this.bytes.set(bytes, position);
  }

  noteLastTid(): void {
    // There is no second place.
  }

  sync(): void {
    // There is no disk.
  }

  close(): void {
    // Nothing to give back.
  }
}

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
        // A client that has a record has heard of a transaction.
        cache.setLastTid(tid(1));
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

  it('that has gone round many times, with any one bit flipped, never returns a wrong or an old record', () => {
    // Records of one size, so that what is left of old ones in free space is where blocks may begin.
    const size = 4096;
    const text = (number: number, version: number): string => `${number}@${version}`.padEnd(20, '.');
    const original = path();
    const { cache, close } = openCacheFile(original, size);
    for (let round = 0; round < 300; round++) {
      const number = (round * 7) % 60;
      const last = round + 1;
      // What is not in the cache any more is changed unseen by it.
      cache.invalidate(oid(number), tid(last));
      if (round % 5 === 4) cache.invalidate(oid((round * 3) % 60), undefined);
      cache.store(oid(number), tid(last), undefined, data(text(number, last)));
      cache.setLastTid(tid(last));
    }
    const newest = new Map<number, number>();
    for (let round = 0; round < 300; round++) newest.set((round * 7) % 60, round + 1);
    close();
    const whole = readFileSync(original);
    let used = 0;
    for (let at = 12; at < size; at++) {
      for (const flip of at < 500 ? [0, 1, 2, 3, 4, 5, 6, 7] : [at % 8, (at + 3) % 8]) {
        const file = new FileInMemory(whole);
        file.bytes[at]! ^= 1 << flip;
        const damaged = new RecordCache(file, size);
        if (!damaged.scan()) continue;
        used++;
        for (const [number, version] of newest) {
          const found = damaged.load(oid(number), MAX_TID)?.data.toString();
          if (found !== undefined && found !== text(number, version))
            throw new Error(`byte ${at}, bit ${flip}: ${found}`);
        }
      }
    }
    expect(used).toBeGreaterThan(1000);
  });

  describe('with a bit of its last tid flipped', () => {
    it.each([
      ['closed', 1],
      ['left by a process that was killed', 9],
    ])('%s: is never believed to know more than it does', (how, step) => {
      const file = path();
      filled(file);
      const state = readFileSync(`${file}.state`, 'utf8');
      if (how !== 'closed') writeFileSync(`${file}.state`, state.replace('"closed":true', '"closed":false'));
      const [bytes, kept] = [readFileSync(file), readFileSync(`${file}.state`)];
      const outcomes = { smaller: 0, dropped: 0 };
      for (let bit = 0; bit < 64; bit += step) {
        const flipped = Buffer.from(bytes);
        flipped[4 + (bit >> 3)]! ^= 1 << (bit & 7);
        writeFileSync(file, flipped);
        writeFileSync(`${file}.state`, kept);
        const opened = openCacheFile(file, 30_000);
        if (opened.reused) {
          // It is asked for what changed since: more than needed.
          expect(opened.cache.lastTid).toBeLessThan(100n);
          expect(opened.cache.lastTid).toBeGreaterThan(0n);
          outcomes.smaller++;
        } else {
          expect(opened.cache.lastTid).toBe(0n);
          expect(opened.cache.statistics.records).toBe(0);
          outcomes.dropped++;
        }
        opened.close();
        rmSync(`${file}.bad`, { force: true });
      }
      // 100 has three bits, none of them a ninth one.
      expect(outcomes).toEqual(step === 1 ? { smaller: 3, dropped: 61 } : { smaller: 0, dropped: 8 });
    });

    it('zero with records in it is not believed', () => {
      const file = path();
      filled(file);
      const bytes = readFileSync(file);
      bytes.fill(0, 4, 12);
      writeFileSync(file, bytes);
      const opened = openCacheFile(file, 30_000);
      expect(opened.reused).toBe(false);
      opened.close();
    });
  });

  it('with a bit of its state file flipped never knows more than it does', () => {
    const file = path();
    filled(file);
    const [bytes, state] = [readFileSync(file), readFileSync(`${file}.state`)];
    const text = state.toString('latin1').trimEnd().length;
    for (let bit = 0; bit < text * 8; bit += 7) {
      const flipped = Buffer.from(state);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      writeFileSync(file, bytes);
      writeFileSync(`${file}.state`, flipped);
      const opened = openCacheFile(file, 30_000);
      expect([0n, 100n]).toContain(opened.cache.lastTid);
      expect(opened.cache.statistics.records).toBe(opened.reused ? 100 : 0);
      opened.close();
      rmSync(`${file}.bad`, { force: true });
    }
  });

  it("of Python's is taken over, and again by the next program", () => {
    const file = path();
    // As `ZEO.cache.ClientCache` writes it: no checksums.
    const block = Buffer.alloc(43 + 5);
    block.write('a', 0, 'latin1');
    block.writeUInt32BE(block.length, 1);
    block.writeUInt8(7, 12);
    block.writeUInt8(50, 20);
    block.writeUInt32BE(5, 31);
    block.write('hello', 35, 'latin1');
    block.writeUInt8(7, 47);
    const bytes = Buffer.alloc(10_000);
    bytes.write('ZEC3', 0, 'latin1');
    bytes.writeUInt8(60, 11);
    block.copy(bytes, 12);
    bytes.write('f', 60, 'latin1');
    bytes.writeUInt32BE(10_000 - 60, 61);
    writeFileSync(file, bytes);
    for (let time = 0; time < 3; time++) {
      const opened = openCacheFile(file, 10_000);
      expect(opened.reused).toBe(true);
      expect(opened.cache.lastTid).toBe(60n);
      expect(opened.cache.load(oid(7), MAX_TID)?.data.toString()).toBe('hello');
      opened.cache.store(oid(8 + time), tid(10), undefined, data('more'));
      opened.close();
    }
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
