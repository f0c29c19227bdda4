import { InvalidArgumentError } from '../errors';
import { formatOid, type Oid } from '../ids';

/** Refuses what can't be a record: an empty one would mean "deleted" in a `Data.fs`. */
export function checkRecord(oid: Oid, data: Uint8Array): void {
  if (!(data instanceof Uint8Array)) {
    throw new InvalidArgumentError(
      `The record of ${formatOid(oid)} must be a Uint8Array, not ${typeof data}.`,
    );
  }
  if (data.length === 0) {
    throw new InvalidArgumentError(
      `The record of ${formatOid(oid)} is empty. To remove an object, use deleteObject().`,
    );
  }
}
