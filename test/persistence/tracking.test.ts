import { persistent, statusOf, Registry, oidOf } from '../../src/persistence/index';
import { MapJar, Records } from './map-jar';

@persistent('bank.Account')
class Account {
  owner: string;
  balance = 0;
  history: string[] = [];
  friend: Account | null = null;

  constructor(owner = 'nobody') {
    this.owner = owner;
  }

  deposit(amount: number): void {
    this.balance += amount;
    this.history.push(`+${amount}`);
  }
}

describe('a tracked object', () => {
  test('is saved, loaded, changed', () => {
    const records = new Records();
    const jar = new MapJar(records);
    const root = jar.root(() => new Account('root'));
    expect(statusOf(root)).toBe('saved');
    root.deposit(5);
    expect(statusOf(root)).toBe('changed');
    root.friend = new Account('ada');
    jar.commit();
    expect(oidOf(root.friend)).toBe(1);
    const other = new MapJar(records);
    const again = other.cache.get(0 as never) as Account;
    expect(again).not.toBe(root);
    expect(again).toEqual(root);
    expect(again.friend!.owner).toBe('ada');
    expect(again).toBeInstanceOf(Account);
    again.history.push('x');
    expect(statusOf(again)).toBe('saved');
    other.cache.flushExposed();
    expect(statusOf(again)).toBe('changed');
    other.commit();
    jar.newSnapshot();
    expect(root.history).toEqual(['+5', 'x']);
    void Registry;
  });

  test('what is defined on a loaded object past its tracked fields is found when it is saved', () => {
    const records = new Records();
    new MapJar(records).root(() => new Account('root'));
    const jar = new MapJar(records);
    const loaded = jar.cache.get(0 as never) as Account & { extra?: number };
    loaded.balance = 1;
    jar.commit();
    Object.defineProperty(loaded, 'extra', {
      value: 7,
      writable: true,
      enumerable: true,
      configurable: true,
    });
    loaded.balance = 2;
    jar.commit();
    expect(new MapJar(records).cache.get(0 as never)).toEqual({ ...loaded, balance: 2, extra: 7 });
    loaded.extra = 8;
    expect(statusOf(loaded)).toBe('changed');
    jar.commit();
    expect(new MapJar(records).cache.get(0 as never)).toMatchObject({ balance: 2, extra: 8 });
    Object.defineProperty(loaded, 'seen', { get: () => 1, enumerable: true, configurable: true });
    loaded.balance = 3;
    expect(() => jar.commit()).toThrow('Account.seen: an accessor of the object itself');
  });
});
