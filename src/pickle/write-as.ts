/** How the values of columns are written where that is fixed, instead of chosen by the value. */
export const WriteAs = {
  /** By the value: a number is an int when it is a safe integer, else a float. */
  auto: 0,
  /** A number is a float, integral or not. */
  float: 1,
  /** A bigint is a plain int of Python, whatever its size (by itself it reads back as a bigint only beyond 2^53). */
  int: 2,
  /** An array is a tuple, frozen or not. */
  tuple: 3,
  /** An array is a list, frozen or not. */
  list: 4,
  /** A Map is a plain dict. */
  dict: 5,
  /** Bytes are a bytearray. */
  bytearray: 6,
  /** A Set is a frozenset. */
  frozenset: 7,
} as const;
export type WriteAs = (typeof WriteAs)[keyof typeof WriteAs];
