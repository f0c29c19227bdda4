import { InvalidArgumentError } from '../errors';
import type { Oid } from '../ids';
import { isPersistent, oidOf } from '../persistence/index';

/** What `connection.prefetch()` takes. */
export type Prefetchable = Oid | object | Iterable<Prefetchable>;

/** The oids of all that is wanted. Throws `InvalidArgumentError` for what is neither object nor oid. */
export function oidsOf(wanted: Iterable<Prefetchable>, into: Oid[] = []): Oid[] {
  for (const item of wanted) {
    if (typeof item === 'number' && Number.isInteger(item)) into.push(item as Oid);
    else if (isPersistent(item)) {
      const oid = oidOf(item);
      if (oid !== undefined) into.push(oid);
    } else if (typeof item === 'object' && item !== null && Symbol.iterator in item) {
      oidsOf(item as Iterable<Prefetchable>, into);
    } else {
      throw new InvalidArgumentError(
        `prefetch() takes persistent objects, oids and iterables of them, not ${typeof item === 'number' ? item : typeof item}.`,
      );
    }
  }
  return into;
}
