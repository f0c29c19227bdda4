/**
 * What must exist once in a copy of this package: the default registry and the marks on objects. Copies that are loaded in one process (a linked package, a duplicate in `node_modules`) meet
 * on the global object, under `Symbol.for`, and say so. They don't share: objects made alive by one can't be served by the code of another. So each works by itself, and what is mixed gets an
 * error that names the copy it belongs to.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A copy of this package in this process. */
export interface PackageCopy {
  /** Where its code is. */
  readonly directory: string;
  /** What it keeps, by name. */
  readonly parts: Map<string, unknown>;
}

const KEY = Symbol.for('zodb.copies');

function enter(): PackageCopy {
  const holder = globalThis as { [KEY]?: PackageCopy[] };
  const mine: PackageCopy = { directory: dirname(__dirname), parts: new Map() };
  const [first] = holder[KEY] ?? [];
  if (first === undefined) Object.defineProperty(holder, KEY, { value: [mine], configurable: true });
  else {
    holder[KEY]!.push(mine);
    process.emitWarning(describeSecond(mine, first), { code: 'ZODB_TWO_COPIES' });
  }
  return mine;
}

function describeSecond(mine: PackageCopy, first: PackageCopy): string {
  const apart = "Each has its own class registry and can't store objects of the other.";
  if (mine.directory === first.directory) {
    return `The package zodb was loaded again from ${mine.directory}, by jest.resetModules() or after require.cache was emptied. ${apart}`;
  }
  return `A second copy of the package zodb was loaded: ${nameOfCopy(mine)} beside ${nameOfCopy(first)}. ${apart} \`npm ls zodb\` shows where they come from; \`npm dedupe\`, one version in all package.json files, or \`overrides\` makes them one.`;
}

/** Version and place of a copy, for messages. */
export function nameOfCopy({ directory }: PackageCopy): string {
  try {
    const { version } = JSON.parse(readFileSync(join(dirname(directory), 'package.json'), 'utf8')) as {
      version: string;
    };
    return `${version} in ${directory}`;
  } catch {
    // Bundled: there is no such file.
    return directory;
  }
}

const here = enter();

/** The part of this name, made when it is first asked for. */
export function anchored<T>(name: string, make: () => T): T {
  if (!here.parts.has(name)) here.parts.set(name, make());
  return here.parts.get(name) as T;
}

/** The other copies of this package in the process. */
export function otherCopies(): PackageCopy[] {
  return ((globalThis as { [KEY]?: PackageCopy[] })[KEY] ?? []).filter((copy) => copy !== here);
}
