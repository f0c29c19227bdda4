/**
 * The tutorial's bank: accounts, transfers, and an overdraft that leaves no trace.
 *
 *     ts-node samples/bank/main.ts [FILE]
 */
import { DB, persistent } from 'zodb';
import { OOBTree } from 'zodb/btrees';

@persistent('bank.Account')
class Account {
  balance = 0;
  history: string[] = [];

  deposit(amount: number): void {
    this.balance += amount;
    this.history.push(`+${amount}`);
  }

  withdraw(amount: number): void {
    this.balance -= amount;
    this.history.push(`-${amount}`);
    if (this.balance < 0) throw new Error(`overdraft of ${-this.balance}`);
  }
}

const db = new DB(process.argv[2] ?? null, { root: { accounts: () => new OOBTree<string, Account>() } });

db.transaction((root) => {
  root.accounts.set('ann', new Account());
  root.accounts.set('ben', new Account());
  root.accounts.get('ann')!.deposit(100);
});

function transfer(from: string, to: string, amount: number): void {
  db.transaction((root) => {
    root.accounts.get(to)!.deposit(amount);
    root.accounts.get(from)!.withdraw(amount);
  });
}

function print(when: string): void {
  db.transaction((root) => {
    const line = [...root.accounts].map(
      ([name, { balance, history }]) => `${name} ${balance} (${history.join(' ')})`,
    );
    console.log(`${when}: ${line.join(', ')}`);
  });
}

transfer('ann', 'ben', 30);
print('after a transfer of 30');

try {
  transfer('ann', 'ben', 500);
} catch (error) {
  console.log(`refused: ${(error as Error).message}`);
}
print('after a refused transfer of 500');
db.close();
