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
});
