/** Whether a value that is to be put in a field says what is there already. */
import { types } from 'node:util';
import { Ref } from './ref';
import { recordOf } from './stamp';
import { bytesOf, childrenOf, isContainer, Kind, kindOf, ownNames } from './values';

/** Compares plain values by content, persistent objects by identity, followed or not. Loads nothing. */
export function isSameValue(made: unknown, was: unknown): boolean {
  if (Object.is(made, was)) return true;
  if (typeof made !== 'object' || made === null || typeof was !== 'object' || was === null) return false;
  if (was instanceof Ref) return recordOf(made)?.oid === was.oid;
  const kind = kindOf(was);
  if (kindOf(made) !== kind || Object.isFrozen(made) !== Object.isFrozen(was)) return false;
  if (kind === Kind.scalar) return isSameScalar(made, was);
  if (!isContainer(kind)) return false;
  if (kind === Kind.instance && Object.getPrototypeOf(made) !== Object.getPrototypeOf(was)) return false;
  if (kind === Kind.object || kind === Kind.instance) {
    if (!areSame(ownNames(made), ownNames(was))) return false;
  }
  return areSame(childrenOf(made, kind), childrenOf(was, kind));
}

function areSame(made: readonly unknown[], was: readonly unknown[]): boolean {
  return made.length === was.length && made.every((item, i) => isSameValue(item, was[i]));
}

function isSameScalar(made: object, was: object): boolean {
  if (types.isDate(was)) return types.isDate(made) && made.getTime() === was.getTime();
  if (was instanceof URL) return made instanceof URL && made.href === was.href;
  if (types.isDate(made) || made instanceof URL) return false;
  return Buffer.compare(bytesOf(made as ArrayBufferView), bytesOf(was as ArrayBufferView)) === 0;
}
