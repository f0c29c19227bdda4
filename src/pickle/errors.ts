/** What goes wrong between values and bytes. */
import { ZodbError, type ZodbErrorOptions } from '../errors';

/** A pickle can't be read: it is damaged, hostile, or needs what the reader was not given. */
export class PickleError extends ZodbError {
  /** Position in the input of the opcode that failed, in bytes. */
  readonly offset: number;
  /** Name of that opcode as in Python's `pickletools`; `undefined` at the end of the input. */
  readonly opcode: string | undefined;

  constructor(message: string, offset: number, opcode: string | undefined, options: ZodbErrorOptions = {}) {
    super(`${message} (${opcode === undefined ? '' : `${opcode} `}at byte ${offset})`, {
      code: 'PICKLE',
      ...options,
    });
    this.offset = offset;
    this.opcode = opcode;
  }
}

/** A value can't be saved. Nothing was written. */
export class PicklingError extends ZodbError {
  /** Where the value stands inside the object that was saved: `history[3].callback`; empty for the object itself. */
  readonly path: string;
  /** What is wrong with it, without the path. */
  readonly reason: string;

  constructor(reason: string, path: string, options: ZodbErrorOptions = {}) {
    super(path === '' ? reason : `${path}: ${reason}`, { code: 'PICKLING', ...options });
    this.path = path;
    this.reason = reason;
  }

  /** The same error seen from an object that holds this one: `prefix` stands before the path. */
  within(prefix: string): PicklingError {
    const joint = this.path === '' || this.path.startsWith('[') ? '' : '.';
    return new PicklingError(this.reason, `${prefix}${joint}${this.path}`, { cause: this.cause });
  }
}
