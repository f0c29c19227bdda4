/**
 * The writer's stack: which containers it is inside of, and how far it has come in each. A stack of its own instead of calls
 * that nest: values may be nested deeper than the machine's stack reaches.
 */

export const Frame = {
  list: 0,
  tuple: 1,
  /** A plain object; `aux` holds its keys. */
  object: 2,
  /** Pairs flattened into an array, written as a dict's items; `aux` says whether EMPTY_DICT is one of them. */
  pairs: 3,
  /** Columns of a state: `object` holds the values, `aux` the names. */
  columns: 4,
  /** A call and what follows it; `index` is the phase. */
  reduce: 5,
  /** Arguments of a call. */
  args: 6,
  /** Items appended to what a call made. */
  items: 7,
  /** Items added to a set that a call made. */
  adds: 8,
  /** A persistent id; then BINPERSID. */
  persistent: 9,
} as const;
export type Frame = (typeof Frame)[keyof typeof Frame];

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/** A step into a plain object, as JavaScript writes it: `.name` or `["any text"]`. */
function property(name: string): string {
  return IDENTIFIER.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

const NOTHING: readonly undefined[] = [
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
];

export class FrameStack {
  depth = 0;
  /** How many frames count as nesting. */
  level = 0;
  // Long enough for most values: an array that grows later is code that was compiled for one that did not.
  readonly kinds: Frame[] = [0, 0, 0, 0, 0, 0, 0, 0];
  readonly objects: unknown[] = [...NOTHING];
  readonly auxes: unknown[] = [...NOTHING];
  readonly indexes: number[] = [0, 0, 0, 0, 0, 0, 0, 0];
  readonly weights: number[] = [0, 0, 0, 0, 0, 0, 0, 0];

  push(kind: Frame, object: unknown, aux: unknown, weight: number): void {
    const d = this.depth++;
    this.kinds[d] = kind;
    this.objects[d] = object;
    this.auxes[d] = aux;
    this.indexes[d] = 0;
    this.weights[d] = weight;
    this.level += weight;
  }

  pop(): void {
    const d = --this.depth;
    this.level -= this.weights[d]!;
    this.objects[d] = undefined;
    this.auxes[d] = undefined;
  }

  clear(): void {
    while (this.depth > 0) this.pop();
  }

  /** Where in the value the writer is: `history[3].callback`. */
  path(): string {
    let path = '';
    for (let d = 0; d < this.depth; d++) path += this.#step(d);
    return path.startsWith('.') ? path.slice(1) : path;
  }

  #step(d: number): string {
    // Frames move on before they go into a part, so that the part is the one before.
    const i = this.indexes[d]! - 1;
    switch (this.kinds[d]) {
      case Frame.list:
      case Frame.tuple:
      case Frame.items:
        return `[${i}]`;
      case Frame.object:
      case Frame.columns:
        return property((this.auxes[d] as readonly string[])[i] ?? '?');
      case Frame.pairs: {
        const key = (this.objects[d] as readonly unknown[])[i - (i & 1)];
        if ((i & 1) === 0) return '.<key>';
        return typeof key === 'string' ? `.get(${JSON.stringify(key)})` : `.get(${shortly(key)})`;
      }
      case Frame.adds:
        return '.<item>';
      default:
        return '';
    }
  }
}

function shortly(key: unknown): string {
  return typeof key === 'object' || typeof key === 'function' || typeof key === 'symbol' ? '…' : String(key);
}
