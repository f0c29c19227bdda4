/**
 * Errors as they travel: `(class name, state)`. Python's client rebuilds only some classes, and these from these fields
 * (`ZEO/src/ZEO/asyncio/client.py`); so does ours.
 */
import {
  ConflictError,
  InvalidArgumentError,
  POSKeyError,
  ReadConflictError,
  ReadOnlyError,
  StorageError,
  StorageTransactionError,
  UndoError,
  UnsupportedError,
} from '../../errors';
import { oidFromBytes, oidToBytes, tidFromBytes, tidToBytes, type Oid, type Tid } from '../../ids';
import { ServerException } from '../errors';
import { WireOidError, WireTypeError } from './arguments';
import { itemsOf, tuple, WireFloat, WireObject, WireTuple, type WireValue } from './values';

const POS = 'ZODB.POSException.';

/** The arguments of an error reply. */
export function errorToWire(error: unknown): WireTuple {
  if (error instanceof POSKeyError) return tuple(`${POS}POSKeyError`, tuple(oidToBytes(error.oid)));
  if (error instanceof WireOidError) return tuple(`${POS}POSKeyError`, tuple(error.oid));
  if (error instanceof ReadConflictError) return conflictToWire('ReadConflictError', error);
  if (error instanceof ConflictError) return conflictToWire('ConflictError', error);
  if (error instanceof UndoError) return undoToWire(error);
  if (error instanceof ReadOnlyError) return tuple(`${POS}ReadOnlyError`, tuple());
  if (error instanceof StorageTransactionError) {
    return tuple(`${POS}StorageTransactionError`, tuple(error.message));
  }
  if (error instanceof WireKeyError) return tuple('builtins.KeyError', tuple(error.key));
  if (error instanceof WireTypeError) return tuple('builtins.TypeError', tuple(error.message));
  if (error instanceof UnsupportedError) return tuple('builtins.AttributeError', tuple(error.message));
  if (error instanceof InvalidArgumentError || error instanceof RangeError) {
    return tuple('builtins.ValueError', tuple(error.message));
  }
  return tuple(`${POS}StorageError`, tuple(error instanceof Error ? error.message : String(error)));
}

/** A key that nothing was found under: Python's `KeyError`. */
export class WireKeyError extends Error {
  constructor(readonly key: WireValue) {
    super(`Nothing has the key ${describe(key)}.`);
  }
}

function conflictToWire(name: 'ConflictError' | 'ReadConflictError', error: ConflictError): WireTuple {
  const state = {
    message: name === 'ConflictError' ? 'database conflict error' : 'database read conflict error',
    oid: error.oid === undefined ? null : oidToBytes(error.oid),
    class_name: error.className ?? null,
    serials: error.serials ? tuple(tidToBytes(error.serials[0]), tidToBytes(error.serials[1])) : null,
  };
  return tuple(POS + name, state);
}

function undoToWire(error: UndoError): WireTuple {
  const name = `${POS}UndoError`;
  if (error.oids.length === 0) return tuple(name, { _reason: error.message, _oid: null });
  const failures = error.oids.map((oid) =>
    tuple(oidToBytes(oid), tuple(name, { _reason: error.message, _oid: oidToBytes(oid) })),
  );
  return tuple(`${POS}MultipleUndoErrors`, {
    _reason: oidToBytes(error.oids[0]!),
    _oid: error.message,
    _errs: failures,
  });
}

/** The error that an error reply describes. */
export function errorFromWire(reply: WireValue): Error {
  const items = itemsOf(reply);
  const name = items?.[0];
  if (!items || typeof name !== 'string') return new ServerException('an unnamed error', describe(reply));
  const state = items[1] ?? null;
  switch (name) {
    case `${POS}POSKeyError`: {
      const oid = itemsOf(state)
        ?.map(oidOf)
        .find((found) => found !== undefined);
      return oid === undefined ? new ServerException(name, describe(state)) : new POSKeyError(oid);
    }
    case `${POS}ConflictError`:
    case `${POS}BTreesConflictError`:
      return new ConflictError(undefined, conflictDetails(state));
    case `${POS}ReadConflictError`:
      return new ReadConflictError(undefined, conflictDetails(state));
    case `${POS}MultipleUndoErrors`:
      return multipleUndoErrors(state);
    case `${POS}UndoError`: {
      const oid = oidOf(field(state, '_oid'));
      return new UndoError(
        `The server can't undo this: ${describe(field(state, '_reason'))}.`,
        oid === undefined ? [] : [oid],
      );
    }
    case `${POS}ReadOnlyError`:
      return new ReadOnlyError('The ZEO server, or this connection to it, is read-only.');
    case `${POS}StorageTransactionError`:
      return new StorageTransactionError(
        `The ZEO server refused the call: ${describe(itemsOf(state)?.[0])}.`,
      );
    case 'builtins.KeyError':
    case 'exceptions.KeyError':
      return new WireKeyError(itemsOf(state)?.[0] ?? null);
    case 'ZODB.FileStorage.FileStorage.FileStorageError':
      // As `ZODB/src/ZODB/FileStorage/FileStorage.py` says it.
      if (itemsOf(state)?.[0] === 'Already packing')
        return new StorageError('A pack is under way at the ZEO server: wait for its end.', {
          code: 'PACKING',
        });
      return new ServerException(name, describe(state));
    default:
      return new ServerException(name, describe(state));
  }
}

function multipleUndoErrors(state: WireValue): UndoError {
  const oids: Oid[] = [];
  for (const failure of itemsOf(field(state, '_errs')) ?? []) {
    const oid = oidOf(itemsOf(failure)?.[0]);
    if (oid !== undefined) oids.push(oid);
  }
  return new UndoError(
    'Some objects were changed by later transactions; the transaction can not be undone.',
    oids,
  );
}

function conflictDetails(state: WireValue): { oid?: Oid; className?: string; serials?: readonly [Tid, Tid] } {
  const oid = oidOf(field(state, 'oid'));
  const className = field(state, 'class_name');
  const serials = itemsOf(field(state, 'serials'));
  const [committed, read] = serials ?? [];
  return {
    ...(oid === undefined ? {} : { oid }),
    ...(typeof className === 'string' ? { className } : {}),
    ...(isTid(committed) && isTid(read)
      ? { serials: [tidFromBytes(committed), tidFromBytes(read)] as const }
      : {}),
  };
}

function isTid(value: WireValue | undefined): value is Uint8Array {
  return value instanceof Uint8Array && value.length === 8;
}

function oidOf(value: WireValue | undefined): Oid | undefined {
  return value instanceof Uint8Array && value.length === 8 ? oidFromBytes(value) : undefined;
}

function field(state: WireValue, name: string): WireValue | undefined {
  return state instanceof Map ? (state.get(name) as WireValue | undefined) : undefined;
}

/** A wire value for people, cut to what fits in a message. */
export function describe(value: WireValue | undefined): string {
  return describeTo(value, 3).slice(0, 300);
}

function describeTo(value: WireValue | undefined, depth: number): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return `0x${Buffer.from(value.subarray(0, 32)).toString('hex')}`;
  if (value instanceof WireFloat) return String(value.value);
  if (value instanceof WireObject) return `${value.module}.${value.name}`;
  if (typeof value !== 'object') return String(value);
  if (depth === 0) return '…';
  const items = itemsOf(value);
  if (items)
    return items
      .slice(0, 20)
      .map((item) => describeTo(item, depth - 1))
      .join(', ');
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return entries
    .slice(0, 20)
    .map(([key, item]) => `${describeTo(key, 0)}: ${describeTo(item as WireValue, depth - 1)}`)
    .join(', ');
}
