/** `zodb/pickle`: values to bytes and back, in Python's pickle format. */
export { PickleError, PicklingError } from './errors';
export { Global } from './global';
export { PyInstance } from './instance';
export type {
  ReaderHooks,
  ReaderOptions,
  Reduction,
  StringEncoding,
  ValueClass,
  WriterHooks,
  WriterOptions,
} from './interfaces';
export { dumps, loads } from './loads';
