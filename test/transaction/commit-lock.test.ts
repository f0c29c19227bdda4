import { AsyncCommitInProgressError, CommitLock } from '../../src/transaction/index';
import { rejectionOf } from './recorder';

const [a, b, c] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];

describe('a commit lock', () => {
  test('belongs to one owner, who may ask again', async () => {
    const lock = new CommitLock();
    lock.acquire(a);
    lock.acquire(a);
    await lock.acquireAsync(a);
    expect(lock.holder).toBe(a);
    expect(() => {
      lock.acquire(b);
    }).toThrow(AsyncCommitInProgressError);
    lock.release(b);
    expect(lock.holder).toBe(a);
    lock.release(a);
    lock.release(a);
    expect(lock.holder).toBeNull();
    expect(lock.acquireAsync(b)).toBeUndefined();
    expect(lock.holder).toBe(b);
  });

  test('goes to those who wait in their order, and is not free in between', async () => {
    const lock = new CommitLock();
    const order: string[] = [];
    lock.acquire(a);
    const waits = [b, c].map(async (owner) => {
      await lock.acquireAsync(owner);
      order.push(owner.name);
    });
    expect(lock.waiting).toBe(2);
    lock.release(a);
    expect(lock.holder).toBe(b);
    expect(() => {
      lock.acquire(a);
    }).toThrow(expect.objectContaining({ retryable: true, code: 'ASYNC_COMMIT_IN_PROGRESS' }));
    await waits[0];
    lock.release(b);
    await waits[1];
    expect([order, lock.holder, lock.waiting]).toEqual([['b', 'c'], c, 0]);
  });

  test('is waited for no longer than asked', async () => {
    const lock = new CommitLock();
    lock.acquire(a);
    const late = lock.acquireAsync(b, 5) as Promise<void>;
    const patient = lock.acquireAsync(c, 10_000) as Promise<void>;
    expect(await rejectionOf(late)).toMatchObject({ code: 'LOCK', retryable: true });
    lock.release(a);
    await patient;
    expect(lock.holder).toBe(c);
  });
});
