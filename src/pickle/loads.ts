import { isUint8Array } from 'node:util/types';
import { InvalidArgumentError, refuseUnknownOptions } from '../errors';
import { PickleReader } from './reader';
import { PickleWriter } from './writer';
import type { ReaderOptions, WriterOptions } from './interfaces';

/**
 * The value of a pickle. Bytes after it are ignored. Executes nothing.
 * @throws PickleError when it is damaged, hostile, or names a class that is not known; InvalidArgumentError
 */
export function loads(bytes: Uint8Array, options: ReaderOptions = {}): unknown {
  if (!isUint8Array(bytes)) {
    throw new InvalidArgumentError(
      `loads() takes the bytes of a pickle, a Buffer or Uint8Array, not ${typeof bytes}.`,
    );
  }
  refuseUnknownOptions('loads()', options, OPTIONS);
  const reader = new PickleReader({ ...options, fixNames: true });
  try {
    reader.open(bytes);
    return reader.read();
  } finally {
    reader.dispose();
  }
}

/**
 * A value as a pickle. Equal values give equal bytes.
 * @throws PicklingError when something in it can't be saved; InvalidArgumentError
 */
export function dumps(value: unknown, options: WriterOptions = {}): Buffer {
  refuseUnknownOptions('dumps()', options, OPTIONS);
  const { protocol } = options;
  if (protocol !== undefined && !PROTOCOLS.has(protocol)) {
    throw new InvalidArgumentError(`dumps() writes protocol 2, 3, 4 or 5, not ${String(protocol)}.`);
  }
  const writer = new PickleWriter(options);
  try {
    writer.write(value);
    return writer.take();
  } finally {
    writer.dispose();
  }
}

const PROTOCOLS: ReadonlySet<unknown> = new Set([2, 3, 4, 5]);

/** Those of both functions: one object may serve them together, as that of `valueClasses()` does. */
const OPTIONS = [
  'unknown',
  'encoding',
  'extensions',
  'maxDepth',
  'buffers',
  'persistentLoad',
  'resolve',
  'protocol',
  'persistentId',
  'reduce',
] satisfies (keyof ReaderOptions | keyof WriterOptions)[];
