/** Garbage collection on demand, without a flag for the whole test run. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
export const collectGarbage = runInNewContext('gc') as () => void;

const never = new Int32Array(new SharedArrayBuffer(4));

/** Bytes in use once the garbage is gone. */
export function heapAfterCollection(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/**
 * What `measure` finds once the garbage is gone, as far as it matters: collected anew while it is `limit` or more. Some goes in the second
 * collection only, and buffers are freed by another thread of V8, which may have to wait for a processor.
 */
export function withoutGarbage(limit: number, measure: () => number): number {
  for (let round = 0; ; round++) {
    const found = measure();
    if (found < limit || round === 100) return found;
    collectGarbage();
    if (round > 0) Atomics.wait(never, 0, 0, 20);
  }
}
