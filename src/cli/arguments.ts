import { InvalidArgumentError } from '../errors';

/** The number that an option was given: a whole one, 1 or more. */
export function countOf(option: string, text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count) && count > 0) return count;
  throw new InvalidArgumentError(`--${option} takes a number of 1 or more, not ${JSON.stringify(text)}.`, {
    code: 'USAGE',
  });
}
