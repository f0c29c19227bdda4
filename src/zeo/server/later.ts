import type { WireValue } from '../wire/values';

/** A result that comes later, and is sent at the very moment when it does: what is sent next comes after it. */
export class Later {
  #succeeded: (value: WireValue) => void = () => undefined;
  #failed: (error: unknown) => void = () => undefined;

  /** Who waits for it; to be called before there is a result. */
  whenDone(succeeded: (value: WireValue) => void, failed: (error: unknown) => void): void {
    this.#succeeded = succeeded;
    this.#failed = failed;
  }

  succeed(value: WireValue): void {
    this.#succeeded(value);
  }

  fail(error: unknown): void {
    this.#failed(error);
  }
}
