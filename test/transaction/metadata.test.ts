import { ConflictError, InvalidArgumentError } from '../../src/errors';
import { Transaction, TransactionError, TransientError } from '../../src/transaction/index';
import { Recorder } from './recorder';

/** Calls `work` and returns the warnings it made: Jest's process object shows none. */
function warningsOf(work: () => void): unknown[] {
  const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  try {
    work();
    return emitWarning.mock.calls.map(([message]) => message);
  } finally {
    emitWarning.mockRestore();
  }
}

describe('note()', () => {
  test('strips texts and puts each on a line of its own', () => {
    const transaction = new Transaction();
    transaction.note('  one\n');
    transaction.note(null);
    transaction.note(undefined);
    transaction.note('two ');
    expect(transaction.description).toBe('one\ntwo');
  });

  test('reads what is no text as one, with a warning', () => {
    const transaction = new Transaction();
    const warnings = warningsOf(() => {
      transaction.note(new TextEncoder().encode('häuser ') as unknown as string);
      transaction.note(42 as unknown as string);
    });
    expect(transaction.description).toBe('häuser\n42');
    expect(warnings).toEqual([
      "A transaction's note should be a text, not object.",
      "A transaction's note should be a text, not number.",
    ]);
  });
});

describe('description and user', () => {
  test('can be set; a description of null is ignored, a user of null refused', () => {
    const transaction = new Transaction();
    expect([transaction.user, transaction.description]).toEqual(['', '']);
    transaction.description = 'what';
    transaction.description = null as unknown as string;
    transaction.user = 'who';
    expect(() => {
      transaction.user = null as unknown as string;
    }).toThrow(InvalidArgumentError);
    expect(() => {
      transaction.setUser(undefined as unknown as string);
    }).toThrow(InvalidArgumentError);
    expect([transaction.user, transaction.description]).toEqual(['who', 'what']);
  });

  test('setUser() puts a path before the name', () => {
    const transaction = new Transaction();
    transaction.setUser('jim');
    expect(transaction.user).toBe('/ jim');
    transaction.setUser('jim', '/site');
    expect(transaction.user).toBe('/site jim');
  });

  test('reads what is no text as one, with a warning', () => {
    const transaction = new Transaction();
    const warnings = warningsOf(() => {
      transaction.user = 42 as unknown as string;
      transaction.description = new Uint8Array([104, 105]) as unknown as string;
    });
    expect([transaction.user, transaction.description]).toEqual(['42', 'hi']);
    expect(warnings).toHaveLength(2);
  });

  test('outlive the commit', () => {
    const transaction = new Transaction();
    transaction.note('kept');
    transaction.setExtendedInfo('key', 1);
    transaction.commit();
    expect([transaction.description, transaction.extension]).toEqual(['kept', { key: 1 }]);
  });
});

describe('extension', () => {
  test('takes single values and can be replaced', () => {
    const transaction = new Transaction();
    expect(transaction.hasExtension).toBe(false);
    transaction.setExtendedInfo('one', 1);
    transaction.setExtendedInfo('two', [2]);
    expect(transaction.extension).toEqual({ one: 1, two: [2] });
    transaction.extension = { three: 3 };
    expect(transaction.extension).toEqual({ three: 3 });
    expect(transaction.hasExtension).toBe(true);
  });
});

describe('data()', () => {
  test('belongs to the very key, not to an equal one, and can be overwritten', () => {
    const transaction = new Transaction();
    const [one, other] = [{ id: 1 }, { id: 1 }];
    transaction.setData(one, 'first');
    transaction.setData(one, 'second');
    expect(transaction.data(one)).toBe('second');
    expect(transaction.hasData(other)).toBe(false);
    expect(() => transaction.data(other)).toThrow(TransactionError);
  });

  test('is there in hooks and synchronizers, and gone at the end', () => {
    const transaction = new Transaction();
    const seen: unknown[] = [];
    transaction.setData('key', 1);
    transaction.addAfterCommitHook(() => seen.push(transaction.data('key')));
    transaction.commit();
    expect(seen).toEqual([1]);
    expect(() => transaction.data('key')).toThrow(expect.objectContaining({ code: 'NO_DATA' }));
  });
});

describe('isRetryableError()', () => {
  test('is true for transient errors, their subclasses, and what says so itself', () => {
    class Busy extends TransientError {}
    const transaction = new Transaction();
    expect(transaction.isRetryableError(new TransientError('later'))).toBe(true);
    expect(transaction.isRetryableError(new Busy('later'))).toBe(true);
    expect(transaction.isRetryableError(new ConflictError('conflict'))).toBe(true);
    expect(transaction.isRetryableError(Object.assign(new Error('other copy'), { retryable: true }))).toBe(
      true,
    );
    for (const other of [new Error('no'), null, undefined, 'text', { retryable: 'yes' }]) {
      expect(transaction.isRetryableError(other)).toBe(false);
    }
  });

  test('is true when any data manager says so', () => {
    const transaction = new Transaction();
    const known = new Error('known');
    transaction.join(new Recorder('a', []));
    transaction.join(new Recorder('b', [], { shouldRetry: (error) => error === known }));
    transaction.join(new Recorder('c', [], { shouldRetry: () => false }));
    expect(transaction.isRetryableError(known)).toBe(true);
    expect(transaction.isRetryableError(new Error('unknown'))).toBe(false);
  });
});
