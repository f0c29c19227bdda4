import { keepSpecimen } from '../specimens';

/** First in, first out, without moving what is inside. */
export class Queue<T> {
  // Not empty from the start: arrays that never held but numbers are others to V8.
  #items: (T | undefined)[] = [undefined];
  #head = 1;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Keeps those for which `wanted` is true, in their order. */
  retain(wanted: (item: T) => boolean): void {
    const kept: T[] = [];
    for (let i = this.#head; i < this.#items.length; i++) {
      const item = this.#items[i]!;
      if (wanted(item)) kept.push(item);
    }
    this.#items = kept;
    this.#head = 0;
  }

  clear(): void {
    this.#items = [undefined];
    this.#head = 1;
  }
}

// Cleared once: V8 takes a field for constant that never was set anew, and forgets code when it is.
keepSpecimen(new Queue()).clear();
