/** Whether two values are the same graph: same types, same contents, and the same places the same object. */
import { FrozenSet, Global, PyDateTime, PyInstance } from '../../src/pickle/index';

const OPAQUE = [
  'Decimal',
  'Fraction',
  'Complex',
  'UUID',
  'PyDate',
  'PyTime',
  'PyTimeDelta',
  'PyTimezone',
  'RegExp',
  'URL',
];

/** Gives the path to the first difference, or `undefined`. */
export function difference(
  a: unknown,
  b: unknown,
  path = 'value',
  seen = new Map<unknown, unknown>(),
  back = new Map<unknown, unknown>(),
): string | undefined {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) {
    return Object.is(a, b) ? undefined : `${path}: ${String(a)} is not ${String(b)}`;
  }
  if (a instanceof Global || (Array.isArray(a) && a.length === 0 && Object.isFrozen(a))) {
    return a === b || (Array.isArray(b) && b.length === 0 && Object.isFrozen(b))
      ? undefined
      : `${path}: differs`;
  }
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `${path}: another class`;
  const name = (Object.getPrototypeOf(a) as object).constructor.name;
  // One timezone serves all; empty bytes are one object.
  const shared = name === 'PyTimezone' || (a instanceof Uint8Array && a.length === 0);
  if (!shared) {
    if (seen.has(a) || back.has(b))
      return seen.get(a) === b && back.get(b) === a ? undefined : `${path}: other aliasing`;
    seen.set(a, b);
    back.set(b, a);
  }
  const parts = (x: object): unknown[] | string => {
    if (x instanceof PyDateTime) return [x.isoformat(), x.tz];
    if (x instanceof Date) return [x.getTime()];
    if (OPAQUE.includes(name)) return JSON.stringify(x) + String(x);
    if (ArrayBuffer.isView(x)) return Buffer.from(x.buffer, x.byteOffset, x.byteLength).toString('hex');
    if (Array.isArray(x)) return [Object.isFrozen(x), ...(x as unknown[])];
    if (x instanceof Map) return [...x].flat(1);
    if (x instanceof Set) return [x instanceof FrozenSet, ...(x as Set<unknown>)];
    if (x instanceof PyInstance)
      return [x.by, x.cls, [...x.args], x.kwargs, x.items, x.pairs, x.adds, x.state];
    if (x instanceof Error) return [x.name, x.message, x.stack];
    return Object.entries(x).flat(1);
  };
  const [left, right] = [parts(a), parts(b)];
  if (typeof left === 'string' || typeof right === 'string') {
    return left === right ? undefined : `${path}: ${String(left)} is not ${String(right)}`;
  }
  if (left.length !== right.length) return `${path}: ${left.length} parts, not ${right.length}`;
  for (let i = 0; i < left.length; i++) {
    // The arguments of an instance are copied above, so their array is not compared by identity.
    const found = difference(left[i], right[i], `${path}.${name}[${i}]`, seen, back);
    if (found !== undefined) return found;
  }
  return undefined;
}
