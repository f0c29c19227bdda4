/** ZODB's words for the states of an object. */
import type { PersistentStatus } from './interfaces';
import { Status, type ObjectRecord } from './stamp';

/** The word of `_p_status`. Probation is no business of users: such an object is saved. */
export function statusWord(record: ObjectRecord | undefined): PersistentStatus {
  if (record?.cache === undefined) return 'unsaved';
  switch (record.status) {
    case Status.ghost:
      return 'ghost';
    case Status.storing:
    case Status.changed:
      return 'changed';
    default:
      return 'saved';
  }
}
