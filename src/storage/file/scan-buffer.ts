import { CorruptionError } from '../../errors';
import { readFully, type FileSystem } from './file-system';
import { readNumber } from './format';

/** Bytes read ahead: at first, and after some going forward. */
const FIRST_WINDOW = 1 << 14;
const WINDOW = 1 << 20;

/** Reads a file from front to back (or anywhere, less well) through one window, which grows on the way. */
export class ScanBuffer {
  readonly #system: FileSystem;
  readonly #fd: number;
  readonly #name: string;
  #start = 0;
  #filled = 0;
  #window = 0;
  readonly #word = Buffer.alloc(8);
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

  /** The 8-byte number at `position`. Reading elsewhere goes on where it was. */
  number(position: number): number {
    const offset = position - this.#start;
    if (offset >= 0 && offset + 8 <= this.#filled) return readNumber(this.buffer, offset);
    this.#require(position, 8);
    const filled = readFully(this.#system, this.#fd, this.#word, 0, 8, position);
    this.#require(position, 8, position + filled);
    return readNumber(this.#word, 0);
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
    const goesOn = position >= this.#start && position <= this.#start + this.#filled && this.#filled > 0;
    this.#window = goesOn ? Math.min(this.#window * 4, WINDOW) : FIRST_WINDOW;
    const room = Math.max(this.#window, length);
    if (this.buffer.length < room) this.buffer = Buffer.allocUnsafeSlow(room);
    const wanted = Math.min(room, this.size - position);
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
