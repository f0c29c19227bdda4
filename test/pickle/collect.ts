/** Garbage collection on demand, without a flag for the whole test run. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Bytes in use once the garbage is gone. */
export function heapAfterCollection(): number {
  gc();
  return process.memoryUsage().heapUsed;
}
