/** Values of fixtures: Python values in the notation that the fixtures use, as this package has them. */

import { PyFloat } from '../../src/pickle/index';

/** Names of the fixtures of one kind: `conflicts-OO.jsonl` → `OO`. */
export function familyOf(file: string): string {
  return /-([A-Za-z]+)\.jsonl?$/.exec(file)![1]!;
}

/** A value of a fixture. Persistent ids become references, the same object for the same oid. */
export function valueOf(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(valueOf);
  if (typeof json !== 'object' || json === null) return json;
  const [[form, content]] = Object.entries(json) as [[string, never]];
  const reader = forms[form];
  if (reader === undefined) throw new Error(`Unknown notation ${form}`);
  return reader(content);
}

/** A state in which numbers to be written as floats are plain numbers. */
export function withoutFloatMarks(state: unknown): unknown {
  if (state instanceof PyFloat) return state.value;
  return Array.isArray(state) ? Object.freeze(state.map(withoutFloatMarks)) : state;
}

const references = new Map<string, object>();

function reference(id: unknown): object {
  const key = JSON.stringify(id);
  const oid = /"\$bytes":"([0-9a-f]{16})"/.exec(key)![1]!;
  const known = references.get(key) ?? { kind: 'strong', oid: Number.parseInt(oid, 16) };
  references.set(key, known);
  return known;
}

const forms: Record<string, (content: never) => unknown> = {
  $int: (text: string) => BigInt(text),
  $float: (text: string) => ({ nan: NaN, inf: Infinity, '-inf': -Infinity })[text] ?? Number(text),
  $bytes: (hex: string) => new Uint8Array(Buffer.from(hex, 'hex')),
  $tuple: (items: unknown[]) => Object.freeze(items.map(valueOf)),
  $set: (items: unknown[]) => new Set(items.map(valueOf)),
  $dict: (pairs: [string, unknown][]) => Object.fromEntries(pairs.map(([k, v]) => [k, valueOf(v)])),
  $date: ({ iso }: { iso: string }) => new Date(iso),
  $persid: reference,
};
