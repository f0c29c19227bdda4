import { CorruptionError } from '../../errors';
import { readFully, type FileSystem } from './file-system';

/** Bytes read ahead. */
const WINDOW = 1 << 20;

/** Reads a file from front to back (or anywhere, less well) through one large window. */
export class ScanBuffer {
  readonly #system: FileSystem;
  readonly #fd: number;
  readonly #name: string;
  #start = 0;
  #filled = 0;
  /** Where {@link find} found it. It is overwritten by later calls. */
  buffer: Buffer = Buffer.alloc(0);
  /** Bytes of the file to be read. */
  size: number;

  constructor(system: FileSystem, fd: number, name: string, size: number) {
    this.#system = system;
    this.#fd = fd;
    this.#name = name;
    this.size = size;
  }

  /** Makes `length` bytes at `position` available, in {@link buffer} from the returned offset on. */
  find(position: number, length: number): number {
    if (position >= this.#start && position + length <= this.#start + this.#filled)
      return position - this.#start;
    return this.#load(position, length);
  }

  /** A copy of `length` bytes at `position`. */
  copy(position: number, length: number): Buffer {
    const copy = Buffer.allocUnsafeSlow(length);
    if (length > WINDOW) {
      this.#require(position, length);
      readFully(this.#system, this.#fd, copy, 0, length, position);
      return copy;
    }
    const offset = this.find(position, length);
    this.buffer.copy(copy, 0, offset, offset + length);
    return copy;
  }

  #load(position: number, length: number): number {
    this.#require(position, length);
    if (this.buffer.length < length) this.buffer = Buffer.allocUnsafeSlow(Math.max(WINDOW, length));
    const wanted = Math.min(this.buffer.length, this.size - position);
    this.#start = position;
    this.#filled = readFully(this.#system, this.#fd, this.buffer, 0, wanted, position);
    this.#require(position, length, position + this.#filled);
    return 0;
  }

  #require(position: number, length: number, end = this.size): void {
    if (position + length <= end) return;
    throw new CorruptionError(
      `${this.#name} is damaged: ${length} bytes are needed at ${position}, but the file ends at ${end}. ` +
        'Check it with "zodb check", and copy what is whole with "zodb recover".',
    );
  }
}
