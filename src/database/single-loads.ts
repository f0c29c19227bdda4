/** Counts loads that were made one by one along one path, and says so: each costs what a batch would. */
export class SingleLoads {
  readonly #limit: number;
  readonly #warn: (key: string, message: string) => void;
  #counts: Map<unknown, Map<string, number>> | undefined;

  /** @param limit so many in one transaction are worth a word; 0: none are */
  constructor(limit: number, warn: (key: string, message: string) => void) {
    this.#limit = limit;
    this.#warn = warn;
  }

  /** A transaction begins. */
  restart(): void {
    this.#counts = undefined;
  }

  /** A reference in this field of `owner` was followed by a load of its own. */
  note(owner: object, field = '?'): void {
    if (this.#limit === 0) return;
    const { constructor } = owner;
    this.#counts ??= new Map<unknown, Map<string, number>>();
    let fields = this.#counts.get(constructor);
    if (!fields) this.#counts.set(constructor, (fields = new Map<string, number>()));
    const count = (fields.get(field) ?? 0) + 1;
    fields.set(field, count);
    if (count !== this.#limit) return;
    const path = `${constructor.name}.${field}`;
    this.#warn(
      `single-loads:${path}`,
      `${path} was followed ${count} times in one transaction, each time with a load of its own (N+1). ` +
        `connection.prefetchReferences(objects, ${JSON.stringify(field)}) loads them together.`,
    );
  }
}
