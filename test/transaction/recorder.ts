/** Data managers, synchronizers and hooks that write what happens to them into a list, and fail where they are told to. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type {
  DataManager,
  DataManagerMode,
  DataManagerSavepoint,
  StepResult,
  SwallowedError,
  Synchronizer,
  Transaction,
} from '../../src/transaction/index';

export type Step =
  'abort' | 'tpcBegin' | 'commit' | 'tpcVote' | 'tpcFinish' | 'tpcAbort' | 'savepoint' | 'rollback';

/** The error of a step that was told to fail: `fault: b.tpcVote`. */
export class Fault extends Error {
  constructor(what: string) {
    super(`fault: ${what}`);
    this.name = 'Fault';
  }
}

export interface RecorderOptions {
  mode?: DataManagerMode;
  /** Steps that fail, every time. */
  fails?: readonly Step[];
  sortKey?: string;
  /** What a step returns; the event is written when the step starts. */
  result?: (step: Step) => StepResult;
  shouldRetry?: (error: unknown) => boolean;
}

export class Recorder implements DataManager {
  readonly name: string;
  readonly mode?: DataManagerMode;
  readonly shouldRetry?: (error: unknown) => boolean;
  protected readonly log: string[];
  protected readonly options: RecorderOptions;

  constructor(name: string, log: string[], options: RecorderOptions = {}) {
    this.name = name;
    this.log = log;
    this.options = options;
    if (options.mode) this.mode = options.mode;
    if (options.shouldRetry) this.shouldRetry = options.shouldRetry;
  }

  abort(_transaction: Transaction): StepResult {
    return this.step('abort');
  }
  tpcBegin(_transaction: Transaction): StepResult {
    return this.step('tpcBegin');
  }
  commit(_transaction: Transaction): StepResult {
    return this.step('commit');
  }
  tpcVote(_transaction: Transaction): StepResult {
    return this.step('tpcVote');
  }
  tpcFinish(_transaction: Transaction): StepResult {
    return this.step('tpcFinish');
  }
  tpcAbort(_transaction: Transaction): StepResult {
    return this.step('tpcAbort');
  }
  sortKey(): string {
    return this.options.sortKey ?? this.name;
  }

  protected step(step: Step): StepResult {
    this.log.push(`${this.name}.${step}`);
    if (this.options.fails?.includes(step)) throw new Fault(`${this.name}.${step}`);
    return this.options.result?.(step);
  }
}

/** A recorder that can go back. */
export class SavepointRecorder extends Recorder {
  #count = 0;

  savepoint(): DataManagerSavepoint {
    this.#count += 1;
    const number = this.#count;
    this.step('savepoint');
    return {
      rollback: () => {
        this.log.push(`${this.name}.rollback ${number}`);
        if (this.options.fails?.includes('rollback')) throw new Fault(`${this.name}.rollback`);
      },
    };
  }
}

export class SynchronizerRecorder implements Synchronizer {
  readonly #name: string;
  readonly #log: string[];
  readonly #fails: readonly string[];

  constructor(name: string, log: string[], fails: readonly string[] = []) {
    this.#name = name;
    this.#log = log;
    this.#fails = fails;
  }

  newTransaction(): void {
    this.#event('newTransaction');
  }
  beforeCompletion(): void {
    this.#event('beforeCompletion');
  }
  afterCompletion(transaction: Transaction): void {
    this.#event('afterCompletion', transaction.status);
  }

  #event(name: string, detail = ''): void {
    this.#log.push(`${this.#name}.${name}${detail && ` ${detail}`}`);
    if (this.#fails.includes(name)) throw new Fault(`${this.#name}.${name}`);
  }
}

/** Everything that is reported as passed over while `work` runs, as `during: message`. */
export async function swallowedIn(work: () => unknown): Promise<string[]> {
  const seen: string[] = [];
  const listener = (message: unknown): void => {
    const { during, error } = message as SwallowedError;
    seen.push(`${during}: ${error instanceof Error ? error.message : String(error)}`);
  };
  subscribe('zodb:transaction:error', listener);
  try {
    await work();
  } finally {
    unsubscribe('zodb:transaction:error', listener);
  }
  return seen;
}

/** What `work` threw. */
export function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown.');
}

/** What the promise was rejected with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown.');
}

/** Lets everything run that is ready to. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
