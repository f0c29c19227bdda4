/**
 * Engines collect type feedback per source position, not per closure: one search routine used for five kinds of key
 * arrays would be compiled once, for all of them. A copy made from its source text has feedback of its own.
 */
let copies = 0;

/**
 * A copy of a function that refers to nothing but its arguments; the function itself where code can't be generated
 * from strings, or where it was instrumented.
 * @param probe called with the copy; if it throws, the original serves
 */
export function specialise<F extends (...args: never[]) => unknown>(
  original: F,
  probe: (copy: F) => void,
): F {
  try {
    copies += 1;
    // The number keeps the engine from finding the same source, and thus the same feedback, in its cache.
    const copy = new Function(`return (${original.toString()}) /* ${copies} */`)() as F;
    probe(copy);
    return copy;
  } catch {
    return original;
  }
}
