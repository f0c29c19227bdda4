/**
 * What must exist once a process, even when two copies of this package are loaded (a linked package, a duplicate in `node_modules`): the default
 * registry and the marks on objects. It hangs on the global object, under `Symbol.for`.
 */

/** Counts up when the layout of what is anchored changes; copies of different layouts can't share it. */
const LAYOUT = 1;

interface Anchor {
  readonly layout: number;
  readonly parts: Map<string, unknown>;
}

const KEY = Symbol.for('zodb.anchor');

function anchor(): Anchor {
  const holder = globalThis as { [KEY]?: Anchor };
  const found = holder[KEY];
  if (found === undefined) {
    const made: Anchor = { layout: LAYOUT, parts: new Map() };
    Object.defineProperty(holder, KEY, { value: made, configurable: true });
    return made;
  }
  if (found.layout === LAYOUT) return found;
  process.emitWarning(
    'Two copies of the package zodb that do not fit together are loaded. Each has its own class registry and knows only its own objects: `npm ls zodb` shows where they come from.',
    { code: 'ZODB_TWO_COPIES' },
  );
  return { layout: LAYOUT, parts: new Map() };
}

const here = anchor();

/** The part of this name, made by the first copy that asks. */
export function anchored<T>(name: string, make: () => T): T {
  if (!here.parts.has(name)) here.parts.set(name, make());
  return here.parts.get(name) as T;
}
