import { Pool, PoolTimeoutError } from '../../src/database/pool';

class Member {
  discarded = false;
  constructor(
    readonly name: string,
    public warmth = 0,
  ) {}
  discard(): void {
    this.discarded = true;
  }
}

function makePool({ size = 2, idleTimeout = Infinity } = {}) {
  const made: Member[] = [];
  const warnings: string[] = [];
  const pool = new Pool<Member>({
    size,
    idleTimeout,
    make: () => {
      const member = new Member(`m${made.length + 1}`);
      made.push(member);
      return member;
    },
    warn: (message, code) => warnings.push(`${code}: ${message}`),
  });
  return { pool, made, warnings };
}

test('a member given back is handed out again before another one is made', () => {
  const { pool, made } = makePool();
  const first = pool.take();
  pool.give(first);
  expect(pool.take()).toBe(first);
  expect(made).toHaveLength(1);
});

test('the warmest free member comes first, whatever the order in which they came back', () => {
  const { pool } = makePool({ size: 3 });
  const [cold, hot, warm] = [pool.take(), pool.take(), pool.take()];
  cold.warmth = 1;
  hot.warmth = 100;
  warm.warmth = 10;
  for (const member of [hot, cold, warm]) pool.give(member);
  expect([pool.take(), pool.take(), pool.take()]).toEqual([hot, warm, cold]);
});

test('beyond its size a pool warns, beyond twice its size more strongly, and never refuses', () => {
  const { pool, warnings } = makePool({ size: 1 });
  for (let i = 0; i < 3; i++) pool.take();
  expect(warnings).toEqual([
    'ZODB_POOL: 2 connections are open, with a poolSize of 1. Is one never closed?',
    'ZODB_POOL_CRITICAL: 3 connections are open, with a poolSize of 1. Is one never closed?',
  ]);
});

test('members beyond the size are discarded when they come back, the coldest first', () => {
  const { pool, made } = makePool({ size: 1 });
  const [a, b] = [pool.take(), pool.take()];
  a.warmth = 5;
  pool.give(a);
  pool.give(b);
  expect(made.map(({ discarded }) => discarded)).toEqual([false, true]);
  expect(pool.free).toEqual([a]);
});

test('asynchronous callers wait for a member in the order they came', async () => {
  const { pool } = makePool({ size: 1 });
  const member = pool.take();
  const order: string[] = [];
  const first = Promise.resolve(pool.takeWhenFree(1000)).then((got) => {
    order.push('first');
    return got;
  });
  const second = Promise.resolve(pool.takeWhenFree(1000)).then((got) => {
    order.push('second');
    return got;
  });
  expect(pool.waiting).toBe(2);
  pool.give(member);
  pool.give(await first);
  expect(await second).toBe(member);
  expect(order).toEqual(['first', 'second']);
});

test('a caller that waits too long gets an error that says what to do', async () => {
  const { pool } = makePool({ size: 1 });
  pool.take();
  const error = await Promise.resolve(pool.takeWhenFree(5)).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PoolTimeoutError);
  expect(error).toMatchObject({ code: 'POOL_TIMEOUT', retryable: true });
  expect((error as Error).message).toBe(
    'No connection became free within 5 ms; all 1 are in use. Close connections that are done with, or raise poolSize.',
  );
  expect(pool.waiting).toBe(0);
});

test('members idle for longer than the timeout are discarded at the next use of the pool', async () => {
  const idleTimeout = 20;
  // Again, when the machine stood still while the second one was given back: then that was idle for too long, too.
  for (let isInTime = false; !isInTime;) {
    const { pool } = makePool({ idleTimeout });
    const [a, b] = [pool.take(), pool.take()];
    pool.give(a);
    await new Promise((resolve) => setTimeout(resolve, idleTimeout + 5));
    const start = Date.now();
    pool.give(b);
    isInTime = Date.now() - start < idleTimeout;
    expect([a.discarded, isInTime && b.discarded]).toEqual([true, false]);
  }
});

test('a closed pool discards what is free at once, and the rest as it comes back', () => {
  const { pool } = makePool();
  const [a, b] = [pool.take(), pool.take()];
  pool.give(a);
  pool.close();
  expect(a.discarded).toBe(true);
  pool.give(b);
  expect(b.discarded).toBe(true);
  expect(() => pool.take()).toThrow('The database is closed');
});
