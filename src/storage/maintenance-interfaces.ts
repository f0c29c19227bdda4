/** The capabilities that look after a database as a whole, most as steps: part of the contract in interfaces.ts. */
import type { Oid } from '../ids';
import type { Steps } from './steps';

/** Removing what nobody needs any more. */
export interface PackCapability {
  /**
   * Drops revisions that were superseded at `time` and, with `gc`, objects that nothing retained refers to. What any
   * retained revision refers to is retained. Others can read and commit meanwhile. `StorageError` when a pack is under
   * way already.
   */
  pack(options?: PackOptions): Steps<PackReport>;
}

/** Options of {@link PackCapability.pack}. */
export interface PackOptions {
  /** Milliseconds since 1970, default now. A time in the future counts as now. */
  readonly time?: number;
  /** Remove unreachable objects too. Default true. */
  readonly gc?: boolean;
  /** Objects to keep beside the root, with all they lead to: other databases refer to them. */
  readonly roots?: readonly Oid[];
  /** Count only; change nothing. */
  readonly dryRun?: boolean;
}

/** What a pack did, or would do. */
export interface PackReport {
  readonly revisions: number;
  readonly objects: number;
  readonly blobs: number;
  /** Bytes of the records and blobs removed. */
  readonly bytes: number;
}

/** Several commits that become durable together, for who has many at a time. Present where that saves something. */
export interface GroupCommitCall {
  /**
   * Runs `work`, which commits transactions and does not give up the event loop. They are durable when this returns; until then nobody may
   * be told of them. When this throws what `work` did not, it is not known which of them are stored.
   */
  commitTogether(work: () => void): void;
}

/** Looking after a database as a whole. */
export interface MaintenanceCapability {
  /** Reads everything and reports what is damaged or refers to nothing. */
  check(): Steps<CheckReport>;
  /** A consistent copy at `path`, which must not exist, while others go on. */
  backup(path: string): Steps<BackupReport>;
  /** Gives unused space back to the file system, where that is not automatic. */
  vacuum?(): Steps<void>;
}

/** What {@link MaintenanceCapability.check} found. */
export interface CheckReport {
  readonly objects: number;
  readonly revisions: number;
  /** Sentences, each naming an object or a place; empty when all is well. */
  readonly problems: readonly string[];
}

/** What {@link MaintenanceCapability.backup} wrote. */
export interface BackupReport {
  readonly path: string;
  readonly bytes: number;
}
