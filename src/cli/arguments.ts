import { InvalidArgumentError } from '../errors';
import { parseOid, type Oid } from '../ids';

/** The number that an option was given: a whole one, 1 or more. */
export function countOf(option: string, text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count) && count > 0) return count;
  throw new InvalidArgumentError(`--${option} takes a number of 1 or more, not ${JSON.stringify(text)}.`, {
    code: 'USAGE',
  });
}

/**
 * An oid and a database, where both may be missing: an oid looks like one.
 * @throws InvalidArgumentError when they come in the other order, instead of an answer to another question
 */
export function oidFirst([first, second]: readonly string[]): [Oid | undefined, string | undefined] {
  if (first !== undefined && /^(0x[0-9a-f]+|\d+)$/i.test(first)) return [parseOid(first), second];
  if (second === undefined) return [undefined, first];
  throw new InvalidArgumentError(
    `The oid comes before the database, written as 0x2a or 42: ${JSON.stringify(first)} is none.`,
    { code: 'USAGE' },
  );
}
