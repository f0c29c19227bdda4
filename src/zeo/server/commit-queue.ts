/** Who may commit to one storage: one at a time, in the order in which they voted. */
export class CommitQueue<Owner extends object> {
  #holder: Owner | undefined;
  #since = 0;
  readonly #waiting: { readonly owner: Owner; readonly granted: () => void }[] = [];

  get holder(): Owner | undefined {
    return this.#holder;
  }

  /** Number of those who wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** When the present holder got its turn, in milliseconds since 1970; `undefined` when there is none. */
  get since(): number | undefined {
    return this.#holder && this.#since;
  }

  /** Whether `owner` waits. */
  isWaiting(owner: Owner): boolean {
    return this.#waiting.some((place) => place.owner === owner);
  }

  /** Resolves when it is `owner`'s turn; undefined when it is at once. */
  acquire(owner: Owner): Promise<void> | undefined {
    if (this.#holder === undefined) {
      this.#take(owner);
      return undefined;
    }
    return new Promise<void>((granted) => this.#waiting.push({ owner, granted }));
  }

  /**
   * Ends `owner`'s turn, or its waiting; silent when it had neither. The next one goes on after what is being done now, so that
   * the reply of the last holder leaves first.
   */
  release(owner: Owner): void {
    if (this.#holder !== owner) {
      const place = this.#waiting.findIndex((candidate) => candidate.owner === owner);
      if (place >= 0) this.#waiting.splice(place, 1);
      return;
    }
    this.#holder = undefined;
    const next = this.#waiting.shift();
    if (!next) return;
    this.#take(next.owner);
    setImmediate(next.granted);
  }

  /** Takes the next one out of the queue, if it `fits`: the holder does its work with its own. */
  takeNext(fits: (owner: Owner) => boolean): Owner | undefined {
    const [next] = this.#waiting;
    if (!next || !fits(next.owner)) return undefined;
    this.#waiting.shift();
    return next.owner;
  }

  #take(owner: Owner): void {
    this.#holder = owner;
    this.#since = Date.now();
  }
}
