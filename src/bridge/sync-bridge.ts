import { Worker, type TransferListItem } from 'node:worker_threads';
import { BELL, CONTROL_WORDS, RingReader } from './ring';
import { DRAINED, startScope, type BridgeWorker, type WorkerSetup } from './worker-scope';

/** Options of {@link SyncBridge}. */
export interface BridgeOptions {
  /** Given to the worker's code; must be cloneable. */
  readonly data?: unknown;
  /** Room for records on their way, in bytes. Default 1 MiB. More than that makes the worker wait, or its source. */
  readonly ringBytes?: number;
  /** Shown by debuggers. */
  readonly name?: string;
}

/**
 * Input and output in a thread of their own, with a caller that may wait for it: post a message, then {@link wait} and
 * {@link receive}. Between calls, {@link onReadable} tells of what came by itself. An idle bridge does not keep the process
 * alive, unless {@link ref} was called.
 */
export class SyncBridge {
  /** Called from the event loop when there is something to {@link receive}. */
  onReadable: () => void = () => undefined;
  /** Called when the worker's code failed; nothing will arrive any more. */
  onFailure: (error: Error) => void = () => undefined;
  readonly #worker: Worker;
  readonly #control: Int32Array;
  readonly #reader: RingReader;
  #closed = false;

  constructor(main: BridgeWorker, options: BridgeOptions = {}) {
    const setup: WorkerSetup = {
      control: new SharedArrayBuffer(CONTROL_WORDS * 4),
      ring: new SharedArrayBuffer(options.ringBytes ?? 1 << 20),
      data: options.data,
    };
    this.#control = new Int32Array(setup.control);
    this.#reader = new RingReader(this.#control, new Uint8Array(setup.ring));
    this.#worker = new Worker(`(${startScope.toString()})(require, ${main.toString()});`, {
      eval: true,
      workerData: setup,
      name: options.name,
    });
    this.#worker.unref();
    this.#worker.on('message', () => {
      Atomics.store(this.#control, BELL, 0);
      this.onReadable();
    });
    this.#worker.on('error', (error: Error) => this.onFailure(error));
  }

  /** Sends a message to the worker. */
  post(message: unknown, transfer?: readonly TransferListItem[]): void {
    if (!this.#closed) this.#worker.postMessage(message, transfer);
  }

  /** The next record, or `undefined` when none is there. */
  receive(): Buffer | undefined {
    const record = this.#reader.read();
    if (this.#reader.takeBlocked()) this.post(DRAINED);
    return record;
  }

  /** Tag of the record received last. */
  get tag(): number {
    return this.#reader.tag;
  }

  /** Blocks this thread until there is something to receive; false when `milliseconds` passed without. */
  wait(milliseconds: number): boolean {
    return this.#reader.wait(milliseconds);
  }

  /** Keeps the process alive until {@link unref}. */
  ref(): void {
    this.#worker.ref();
  }

  /** Takes {@link ref} back. */
  unref(): void {
    this.#worker.unref();
  }

  /** Ends the worker. What was posted before may not have been done. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker.terminate();
  }
}
