/** What a writer has written already, to be fetched from the memo when it comes again. */

const SLOTS = 512;
/** Longer strings are written again: comparing them costs more than it saves. */
const MAX_TEXT = 64;
/** Up to so many objects are looked up one by one; a map costs more for few. */
const LINEAR = 24;
/** Of so many keys the numbers are kept. */
const MAX_KEYS = 40;

/** Where the table has a text that is not empty. */
export function slotOfText(text: string): number {
  const length = text.length;
  return (
    (length * 61 +
      text.charCodeAt(0) * 7 +
      text.charCodeAt(length - 1) * 31 +
      text.charCodeAt(length >> 1) * 131) &
    (SLOTS - 1)
  );
}

export class WriteMemo {
  /** The number that the next value gets. */
  count = 0;
  // Of the length that they can have: an array that grows is code that was compiled for one that did not.
  readonly #objects: (object | undefined)[] = Array.from({ length: LINEAR }, () => undefined);
  readonly #indexes: number[] = Array.from({ length: LINEAR }, () => 0);
  #objectCount = 0;
  #map: Map<object, number> | undefined = undefined;
  readonly #texts: string[] = new Array<string>(SLOTS).fill('');
  readonly #textIndexes = new Int32Array(SLOTS);
  readonly #textEpochs = new Uint32Array(SLOTS);
  #epoch = 1;
  /** The keys of the plain object written last, and their numbers: the next one is likely to have the same. */
  readonly #keys: string[] = [];
  readonly #keyIndexes: number[] = [];
  #keyCount = 0;

  clear(): void {
    this.count = 0;
    for (let i = this.#objectCount - 1; i >= 0; i--) this.#objects[i] = undefined;
    this.#objectCount = 0;
    this.#map = undefined;
    this.#keyCount = 0;
    this.#epoch = (this.#epoch + 1) >>> 0;
    if (this.#epoch === 0) {
      this.#textEpochs.fill(0);
      this.#epoch = 1;
    }
  }

  /** The number of an object written before, or -1. */
  find(object: object): number {
    if (this.#map !== undefined) return this.#map.get(object) ?? -1;
    const objects = this.#objects;
    for (let i = this.#objectCount - 1; i >= 0; i--) if (objects[i] === object) return this.#indexes[i]!;
    return -1;
  }

  /** Gives an object a number of its own choosing. */
  set(object: object, index: number): void {
    if (this.#map !== undefined) {
      this.#map.set(object, index);
      return;
    }
    const n = this.#objectCount;
    if (n === LINEAR) {
      this.#map = new Map();
      for (let i = 0; i < n; i++) this.#map.set(this.#objects[i]!, this.#indexes[i]!);
      this.#map.set(object, index);
      return;
    }
    this.#objects[n] = object;
    this.#indexes[n] = index;
    this.#objectCount = n + 1;
  }

  /**
   * The number of an equal string written before, or -1; then it gets the next number, which the caller must use. Some
   * are forgotten: a table without chains costs 5 ns where a map costs 50.
   */
  text(text: string): number {
    const length = text.length;
    if (length > MAX_TEXT || length === 0) {
      this.count++;
      return -1;
    }
    return this.textIn(slotOfText(text), text);
  }

  /** As {@link text}, for key number `i` of a plain object. */
  key(i: number, text: string): number {
    if (i < this.#keyCount && this.#keys[i] === text) return this.#keyIndexes[i]!;
    const index = this.text(text);
    if (i < MAX_KEYS) {
      this.#keys[i] = text;
      this.#keyIndexes[i] = index < 0 ? this.count - 1 : index;
      this.#keyCount = Math.max(this.#keyCount, i + 1);
    }
    return index;
  }

  /** As {@link text}, for one whose place in the table is known. */
  textIn(slot: number, text: string): number {
    if (this.#textEpochs[slot] === this.#epoch && this.#texts[slot] === text) return this.#textIndexes[slot]!;
    this.#texts[slot] = text;
    this.#textEpochs[slot] = this.#epoch;
    this.#textIndexes[slot] = this.count++;
    return -1;
  }
}
