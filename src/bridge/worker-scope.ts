/**
 * What runs in the bridge's worker thread. {@link startScope} and every {@link BridgeWorker} are sent there as source text, because a
 * thread can't share functions and a file name would not survive bundlers and test transforms: they must not refer to anything outside
 * themselves.
 */

/** What a worker's code gets. */
export interface BridgeScope {
  /** Node's `require`. */
  readonly load: NodeJS.Require;
  /** What {@link SyncBridge} was given as `data`. */
  readonly data: unknown;
  /**
   * Hands a record to the other side; its memory may be used again. Returns false when it had to be kept for lack of room: better send
   * no more.
   */
  send(tag: number, bytes: Uint8Array): boolean;
  /** Called when there is room again. */
  onDrain(listener: () => void): void;
  /** Called for everything that is posted to this side. */
  onMessage(listener: (message: unknown) => void): void;
}

/** Code for the worker thread; self-contained. */
export type BridgeWorker = (scope: BridgeScope) => void;

/** Given to the worker by the bridge. */
export interface WorkerSetup {
  readonly control: SharedArrayBuffer;
  readonly ring: SharedArrayBuffer;
  readonly data: unknown;
}

/** Message that tells the worker of room in the ring. */
export const DRAINED = 'bridge:drained';

/** Runs in the worker: sets up the scope and starts its code. */
export function startScope(load: NodeJS.Require, main: BridgeWorker): void {
  const threads = load('node:worker_threads') as typeof import('node:worker_threads');
  const port = threads.parentPort!;
  const setup = threads.workerData as WorkerSetup;
  const control = new Int32Array(setup.control);
  const ring = new Uint8Array(setup.ring);
  const size = ring.length;
  const largest = size >>> 2;
  const header = Buffer.alloc(8);
  const waiting: { tag: number; bytes: Uint8Array; at: number }[] = [];
  let drain: () => void = () => undefined;
  let listen: (message: unknown) => void = () => undefined;

  function put(bytes: Uint8Array, head: number): number {
    const first = Math.min(bytes.length, size - head);
    ring.set(first === bytes.length ? bytes : bytes.subarray(0, first), head);
    if (first < bytes.length) ring.set(bytes.subarray(first), 0);
    return (head + bytes.length) % size;
  }

  /** Writes what fits of a record; the number of bytes it took, -1 for none. */
  function write(tag: number, bytes: Uint8Array, from: number): number {
    const head = control[0]!;
    const room = (Atomics.load(control, 1) - head - 1 + size) % size;
    const left = bytes.length - from;
    const part = Math.min(left, largest, room - 8);
    if (room < 8 || (part < left && part < 1024)) return -1;
    header.writeUInt32LE(part, 0);
    header.writeUInt32LE(tag * 2 + (part < left ? 1 : 0), 4);
    const body = from === 0 && part === bytes.length ? bytes : bytes.subarray(from, from + part);
    const end = put(body, put(header, head));
    Atomics.store(control, 0, end);
    if (Atomics.load(control, 2) === 1) Atomics.notify(control, 0);
    else if (Atomics.compareExchange(control, 3, 0, 1) === 0) port.postMessage(0);
    return part;
  }

  function flush(): boolean {
    while (waiting.length > 0) {
      const next = waiting[0]!;
      let part = write(next.tag, next.bytes, next.at);
      if (part < 0) {
        Atomics.store(control, 4, 1);
        // The reader may have made room before it could see that we wait.
        part = write(next.tag, next.bytes, next.at);
        if (part < 0) return false;
        Atomics.store(control, 4, 0);
      }
      next.at += part;
      if (next.at >= next.bytes.length) waiting.shift();
    }
    return true;
  }

  port.on('message', (message: unknown) => {
    if (message !== 'bridge:drained') listen(message);
    else if (flush()) drain();
  });
  main({
    load,
    data: setup.data,
    send(tag, bytes) {
      const at = waiting.length === 0 ? write(tag, bytes, 0) : -1;
      if (at === bytes.length) return true;
      waiting.push({ tag, bytes: new Uint8Array(bytes.subarray(Math.max(at, 0))), at: 0 });
      return flush();
    },
    onDrain(listener) {
      drain = listener;
    },
    onMessage(listener) {
      listen = listener;
    },
  });
}
