import type { WireValue } from '../wire/values';

/** A call that waits for its answer. `settle` runs in the order of the wire, before anything that came later is looked at. */
export class Call<Result = WireValue> {
  done = false;
  error: unknown;
  value: Result | undefined;
  #listener: (() => void) | undefined;

  constructor(
    readonly name: string,
    private readonly settle: (value: WireValue) => Result,
  ) {}

  /** The answer came. */
  succeed(value: WireValue): void {
    if (this.done) return;
    try {
      this.value = this.settle(value);
    } catch (error) {
      this.error = error;
    }
    this.#finish();
  }

  fail(error: unknown): void {
    if (this.done) return;
    this.error = error;
    this.#finish();
  }

  /** The result of a call that is done; throws its error. */
  result(): Result {
    if (this.error !== undefined) throw this.error;
    return this.value as Result;
  }

  /** Called once when it is done. */
  whenDone(listener: () => void): void {
    if (this.done) listener();
    else this.#listener = listener;
  }

  #finish(): void {
    this.done = true;
    this.#listener?.();
  }
}
