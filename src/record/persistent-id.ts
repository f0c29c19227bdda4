/**
 * Persistent ids: how references stand in a record (`ZODB/src/ZODB/serialize.py`).
 *
 * | persistent id | reference |
 * |---|---|
 * | `oid` | strong; the class must be read from the object's own record |
 * | `(oid, class)`, `(oid, (module, name))` | strong |
 * | `['w', (oid,)]`, `['w', (oid, database)]`, `[oid]` (old) | weak |
 * | `['n', (database, oid)]`, `['m', (database, oid, class)]` | into another database |
 *
 * An oid is 8 bytes; in old records a text of 8 characters.
 */
import { type Oid, oidFromBytes } from '../ids';
import { Global, PickleError } from '../pickle/index';
import { ClassMeta } from './class-meta';
import type { RecordReaderHooks } from './interfaces';

/** What a persistent id of the two usual forms stands for, taken apart without making anything. */
export function loadShortReference(
  hooks: RecordReaderHooks,
  input: Uint8Array,
  offset: number,
  cls: Global | undefined,
): unknown {
  return hooks.strongReference(
    oidFromBytes(input, offset),
    cls === undefined ? undefined : ClassMeta.ofGlobal(cls),
  );
}

/** What a persistent id of any form stands for. */
export function loadPersistentId(hooks: RecordReaderHooks, pid: unknown): unknown {
  const oid = oidOf(pid);
  if (oid !== undefined) return hooks.strongReference(oid, undefined);
  if (!Array.isArray(pid)) throw unknownForm();
  const parts = pid as readonly unknown[];
  if (Object.isFrozen(pid)) {
    if (parts.length !== 2) throw unknownForm();
    return hooks.strongReference(needOid(parts[0]), classOf(parts[1]));
  }
  const [kind, args] = parts;
  if (parts.length === 1) return hooks.weakReference(needOid(kind), undefined);
  if (!Array.isArray(args)) throw unknownForm();
  const [first, second, third] = args as readonly unknown[];
  if (kind === 'w')
    return hooks.weakReference(needOid(first), second === undefined ? undefined : needText(second));
  if (kind === 'n') return hooks.foreignReference(needText(first), needOid(second), undefined);
  if (kind === 'm') return hooks.foreignReference(needText(first), needOid(second), classOf(third));
  throw unknownForm();
}

/** The oid that a value of a pickle is, if it is one. */
export function oidOf(value: unknown): Oid | undefined {
  if (value instanceof Uint8Array) return value.length === 8 ? oidFromBytes(value) : undefined;
  if (typeof value !== 'string' || value.length !== 8) return undefined;
  const bytes = Buffer.from(value, 'latin1');
  return bytes.toString('latin1') === value ? oidFromBytes(bytes) : undefined;
}

function needOid(value: unknown): Oid {
  const oid = oidOf(value);
  if (oid === undefined) throw unknownForm();
  return oid;
}

function needText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  throw unknownForm();
}

function classOf(value: unknown): ClassMeta | undefined {
  if (value instanceof Global) return ClassMeta.ofGlobal(value);
  if (value === null || value === undefined) return undefined;
  if (Array.isArray(value)) {
    const [module, name] = value as readonly unknown[];
    if (typeof module === 'string' && typeof name === 'string') return ClassMeta.of(module, name);
  }
  throw unknownForm();
}

function unknownForm(): PickleError {
  return new PickleError('A reference has none of the forms that ZODB knows', 0, 'BINPERSID');
}
