import type { ReaderOptions, WriterOptions } from './interfaces';

/** The value of a pickle. Bytes after it are ignored. Executes nothing. */
export function loads(_bytes: Uint8Array, _options: ReaderOptions = {}): unknown {
  throw new Error('not yet');
}

/** A value as a pickle. */
export function dumps(_value: unknown, _options: WriterOptions = {}): Buffer {
  throw new Error('not yet');
}
