import { PickleReader } from './reader';
import { PickleWriter } from './writer';
import type { ReaderOptions, WriterOptions } from './interfaces';

/** The value of a pickle. Bytes after it are ignored. Executes nothing. Throws {@link PickleError}. */
export function loads(bytes: Uint8Array, options: ReaderOptions = {}): unknown {
  const reader = new PickleReader({ ...options, fixNames: true });
  try {
    reader.open(bytes);
    return reader.read();
  } finally {
    reader.dispose();
  }
}

/** A value as a pickle. Equal values give equal bytes. Throws {@link PicklingError}. */
export function dumps(value: unknown, options: WriterOptions = {}): Buffer {
  const writer = new PickleWriter(options);
  try {
    writer.write(value);
    return writer.take();
  } finally {
    writer.dispose();
  }
}
