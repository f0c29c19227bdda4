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
export { ByteArray, FrozenSet, PyDict } from './containers';
export { PyDate, PyDateTime, PyTime, PyTimeDelta, PyTimezone, type DateTimeFields } from './datetime';
export { MAX_DEPTH } from './depth';
export { Complex, Decimal, Fraction, PyFloat } from './numbers';
export { UUID } from './uuid';
export { valueClass, valueClasses, type PickledClass } from './value-class';
