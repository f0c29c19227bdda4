/**
 * Lets any call by which the code under test touches the disk fail. Import it before everything else: it replaces functions of
 * `node:fs` by ones that count, and that fail or pass on as the plan of the moment says.
 */
import fs from 'node:fs';

/** What a run of {@link withFaults} is told. */
export interface FaultPlan {
  /** Number of the call that fails, from 0. */
  readonly failAt: number;
  readonly code: 'EIO' | 'ENOSPC';
  /** The process is as good as dead from then on: no later call does anything. */
  readonly crash: boolean;
  /** Which files are meant. */
  readonly matches?: RegExp;
}

interface Faults extends FaultPlan {
  calls: number;
  failed: number;
  readonly descriptors: Set<number>;
}

let plan: Faults | undefined;

const CHANGING = [
  'openSync',
  'writeSync',
  'fsyncSync',
  'fdatasyncSync',
  'ftruncateSync',
  'truncateSync',
  'renameSync',
  'linkSync',
  'copyFileSync',
  'writeFileSync',
  'mkdirSync',
  'chmodSync',
  'rmSync',
  'rmdirSync',
] as const;
const READING = ['readSync', 'readFileSync', 'readdirSync', 'statSync', 'fstatSync'] as const;

type AnyCall = (...args: unknown[]) => unknown;
const real = fs as unknown as Record<string, AnyCall>;
const originals = new Map<string, AnyCall>();

for (const name of [...CHANGING, ...READING]) {
  const original = real[name]!;
  originals.set(name, original);
  real[name] = (...args) => (plan === undefined ? original(...args) : attempt(plan, name, original, args));
}

/** Puts the functions back; for `afterAll`. */
export function restoreFs(): void {
  for (const [name, original] of originals) real[name] = original;
}

function attempt(faults: Faults, name: string, original: AnyCall, args: unknown[]): unknown {
  const [first] = args;
  const isMeant =
    faults.matches === undefined ||
    (typeof first === 'number' ? faults.descriptors.has(first) : faults.matches.test(String(first)));
  if (isMeant) {
    const number = faults.calls++;
    const dead = faults.crash && number > faults.failAt;
    if (number === faults.failAt || dead) {
      faults.failed++;
      // A full disk, or a death, takes a part first.
      if (name === 'writeSync' && !dead && (faults.code === 'ENOSPC' || faults.crash))
        writePart(original, args);
      throw Object.assign(new Error(`${faults.code}: injected at call ${number}, ${name} ${String(first)}`), {
        code: faults.code,
      });
    }
    if (name === 'writeSync') return original(...shorter(args));
  }
  const result = original(...args);
  if (name === 'openSync' && isMeant) faults.descriptors.add(result as number);
  return result;
}

/** Short writes are legal at any time. */
function shorter(args: unknown[]): unknown[] {
  const [fd, bytes, offset, length, position] = args;
  return typeof length === 'number' && length > 100 ? [fd, bytes, offset, length - 7, position] : args;
}

function writePart(original: AnyCall, [fd, bytes, offset, length, position]: unknown[]): void {
  if (typeof length === 'number' && length > 1) original(fd, bytes, offset, length >> 1, position);
}

/** Runs `work` under a plan; the number of calls that failed. What `work` throws is passed on in the outcome. */
export function withFaults<Result>(
  wanted: FaultPlan,
  work: () => Result,
): { failed: number; error: unknown; result: Result | undefined } {
  const faults: Faults = { ...wanted, calls: 0, failed: 0, descriptors: new Set() };
  plan = faults;
  try {
    return { result: work(), failed: faults.failed, error: undefined };
  } catch (error) {
    return { result: undefined, failed: faults.failed, error };
  } finally {
    plan = undefined;
  }
}
