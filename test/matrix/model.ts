/** What each compiler of the matrix compiles; the checks are in `matrix.test.ts`. */
import { field, persistent, Persistent, PersistentMapping, transient, value } from 'zodb';

@value('matrix.Money')
export class Money {
  amount: number;
  currency = 'EUR';
  constructor(amount: number) {
    this.amount = amount;
  }
}

@persistent('matrix.Account')
export class Account {
  static made = 0;
  owner: string;
  balance = 0;
  history: string[] = [];
  limit: Money | null = new Money(5);
  optional?: string;
  @field('float') rate = 2;
  @field('bigint') big = 5n;
  @field() declared: bigint = 7n;
  @transient((self: Account) => `cache of ${self.owner}`) cache!: string;
  @transient scratch = 1;
  #secret = 1;

  constructor(owner = 'nobody') {
    this.owner = owner;
    Account.made += 1;
  }

  deposit(amount: number): void {
    this.balance += amount;
    this.history.push(`+${String(amount)}`);
  }

  get label(): string {
    return `${this.owner}: ${String(this.balance)}`;
  }

  hasSecret(): boolean {
    return #secret in this;
  }
}

@persistent({ name: 'matrix.Savings', aliases: ['matrix.OldSavings'] })
export class Savings extends Account {
  interest = 0.5;

  override deposit(amount: number): void {
    super.deposit(amount * (1 + this.interest));
  }
}

@persistent
export class Bare {
  a = 1;
}

@persistent()
export class Called extends Persistent {
  a = this.constructor.name;
}

@persistent('matrix.Index')
export class Index extends PersistentMapping<string, Account> {
  title = 'index';
}
