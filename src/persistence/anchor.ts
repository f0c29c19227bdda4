/**
 * What must exist once in a copy of this package: the default registry and the marks on objects. The first copy that is loaded in a process hangs its own on the global object, under
 * `Symbol.for`, so that a second one (a linked package, a duplicate in `node_modules`) notices. The two don't share: objects made alive by one can't be served by the code of the other. So the
 * second is told of, and works by itself; what is mixed gets an error that names the class.
 */

type Anchor = Map<string, unknown>;

const KEY = Symbol.for('zodb.anchor');

function anchor(): Anchor {
  const holder = globalThis as { [KEY]?: Anchor };
  const mine: Anchor = new Map();
  if (holder[KEY] === undefined) {
    Object.defineProperty(holder, KEY, { value: mine, configurable: true });
  } else {
    process.emitWarning(
      `A second copy of the package zodb was loaded, from ${__dirname}. Each copy has its own class registry and knows only its own objects: \`npm ls zodb\` shows where they come from.`,
      { code: 'ZODB_TWO_COPIES' },
    );
  }
  return mine;
}

const here = anchor();

/** The part of this name, made when it is first asked for. */
export function anchored<T>(name: string, make: () => T): T {
  if (!here.has(name)) here.set(name, make());
  return here.get(name) as T;
}
