/**
 * What happens, for whoever listens: `diagnostics_channel` names and their messages. Publishing costs one property
 * test where nobody subscribed.
 */
import { channel } from 'node:diagnostics_channel';
import type { Oid, Tid } from '../ids';

/** `zodb:load`: an object's record was read from the storage. */
export interface LoadMessage {
  readonly database: string;
  readonly oid: Oid;
  /** Size of the record in bytes. */
  readonly size: number;
}

/** `zodb:store`: an object's record was handed to the storage, not yet committed. */
export interface StoreMessage {
  readonly database: string;
  readonly oid: Oid;
  readonly className: string;
  readonly size: number;
}

/** `zodb:commit`: a transaction was committed. */
export interface CommitMessage {
  readonly database: string;
  readonly tid: Tid;
  /** The objects that it stored. */
  readonly oids: readonly Oid[];
  /** From `tpcBegin` to the end of `tpcFinish`. */
  readonly milliseconds: number;
}

/** `zodb:conflict`: a conflict was found; `resolved` tells whether the two changes were merged. */
export interface ConflictMessage {
  readonly database: string;
  readonly oid: Oid | undefined;
  readonly className: string | undefined;
  readonly resolved: boolean;
}

/** `zodb:pack`: a pack began or ended. */
export interface PackMessage {
  readonly database: string;
  readonly phase: 'begin' | 'end';
  readonly before: Tid;
}

export const tracing = {
  load: channel('zodb:load'),
  store: channel('zodb:store'),
  commit: channel('zodb:commit'),
  conflict: channel('zodb:conflict'),
  pack: channel('zodb:pack'),
} as const;
