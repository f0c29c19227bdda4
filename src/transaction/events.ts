import { channel } from 'node:diagnostics_channel';
import type { Transaction } from './transaction';

/** Published on the diagnostics channel `zodb:transaction`. */
export interface TransactionEvent {
  /** `'fail'`: a commit, or making or rolling back a savepoint, failed; an abort follows, sooner or later. */
  readonly event: 'begin' | 'commit' | 'abort' | 'fail';
  readonly transaction: Transaction;
}

/** Ask `hasSubscribers` before publishing: nothing is made for nobody. */
export const events = channel('zodb:transaction');

export function publishEvent(event: TransactionEvent['event'], transaction: Transaction): void {
  events.publish({ event, transaction } satisfies TransactionEvent);
}
