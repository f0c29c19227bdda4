import { readStructure, StoredReference } from '../record/index';
import type { Oid } from '../ids';

/**
 * Where in a record the first reference to an object stands, as a program writes it: `lines[0].product`; `["lamp"]` for an entry of a
 * leaf of a BTree. Empty where it has no name (below an inner node of a tree), or can't be found.
 */
export function placeOfReference(record: Uint8Array, target: Oid): string {
  try {
    const { cls, state } = readStructure(record);
    const path = new ReferenceSearch(target, cls.module.startsWith('BTrees.')).in(state) ?? [];
    // The entries of a PersistentMapping or PersistentList.
    const isContainer = path[0] === '.data' && path.length > 1;
    return (isContainer ? path.slice(1) : path).join('').replace(/^\./, '');
  } catch {
    // A damaged record: the objects are told all the same.
    return '';
  }
}

class ReferenceSearch {
  readonly #target: Oid;
  readonly #isNode: boolean;
  readonly #seen = new Set<object>();

  constructor(target: Oid, isNode: boolean) {
    this.#target = target;
    this.#isNode = isNode;
  }

  /** The steps to the reference; `undefined` when there is none. */
  in(value: unknown): string[] | undefined {
    if (value instanceof StoredReference) return value.oid === this.#target ? [] : undefined;
    if (typeof value !== 'object' || value === null || this.#seen.has(value)) return undefined;
    this.#seen.add(value);
    for (const [step, item] of this.#items(value)) {
      const rest = this.in(item);
      if (rest !== undefined) return [step, ...rest];
    }
    return undefined;
  }

  *#items(value: object): Generator<readonly [step: string, item: unknown]> {
    if (Array.isArray(value)) {
      const items = value as unknown[];
      for (let i = 0; i < items.length; i++) {
        yield [this.#isNode ? stepInNode(items, i) : `[${i}]`, items[i]];
      }
    } else if (value instanceof Map) {
      for (const [key, item] of value as Map<unknown, unknown>) yield [stepTo(key), item];
    } else if (value instanceof Set) {
      for (const item of value as Set<unknown>) yield ['', item];
    } else {
      for (const [key, item] of Object.entries(value)) yield [stepTo(key), item];
    }
  }
}

/** Leaves are flat tuples of keys and values; inner nodes begin with a child, so that their keys stand at the odd places. */
function stepInNode(items: readonly unknown[], index: number): string {
  const key = index % 2 === 1 ? items[index - 1] : undefined;
  return ['string', 'number', 'bigint'].includes(typeof key) ? keyStep(key) : '';
}

function stepTo(key: unknown): string {
  return typeof key === 'string' && /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : keyStep(key);
}

function keyStep(key: unknown): string {
  return typeof key === 'string' ? `[${JSON.stringify(key)}]` : `[${String(key)}]`;
}
