/** Objects that a program got from another copy of this package: see `anchor.ts`. */
import { nameOfCopy, otherCopies, type PackageCopy } from './anchor';

/** What to say of an object whose class is persistent for another copy of this package; `undefined` for all others. */
export function ofOtherCopy(object: object): string | undefined {
  const copy = otherCopies().find((other) => knows(other, object));
  return (
    copy &&
    `its class is made persistent by another copy of the package zodb (${nameOfCopy(copy)}); see \`npm ls zodb\``
  );
}

function knows({ parts }: PackageCopy, object: object): boolean {
  const models = parts.get('models') as { has?(prototype: object): boolean } | undefined;
  for (let at = above(object); at !== null; at = above(at)) if (models?.has?.(at) === true) return true;
  return false;
}

function above(object: object): object | null {
  return Object.getPrototypeOf(object) as object | null;
}
