import { oidToBigInt, type Oid } from '../../ids';
import type { CurrentRecord, Storage } from '../interfaces';
import type { Layers } from './layers';

/** The current records of both layers in order of oids; those of the changes hide those of the base. */
export function* currentOfLayers(layers: Layers, from: Oid): Generator<CurrentRecord> {
  const changed = layers.changes.currentRecords!(from);
  const based = layers.base.currentRecords!(from);
  try {
    let change = changed.next();
    for (const { oid } of based) {
      while (!change.done && isBefore(change.value.oid, oid)) {
        yield change.value;
        change = changed.next();
      }
      if (!change.done && change.value.oid === oid) {
        yield change.value;
        change = changed.next();
      } else if (layers.place(oid) === 'base') {
        const { data, serial } = layers.load(oid);
        yield { oid, data, serial };
      }
    }
    while (!change.done) {
      yield change.value;
      change = changed.next();
    }
  } finally {
    changed.return?.();
    based.return?.();
  }
}

function isBefore(a: Oid, b: Oid): boolean {
  return a >= 0 && b >= 0 ? a < b : oidToBigInt(a) < oidToBigInt(b);
}

/** The objects in the changes; `null` for those that are deleted. */
export function newestChanges(changes: Storage): Map<Oid, null | undefined> {
  const newest = new Map<Oid, null | undefined>();
  for (const transaction of changes.iterate!()) {
    for (const { oid, data } of transaction.records()) newest.set(oid, data === null ? null : undefined);
  }
  return newest;
}
