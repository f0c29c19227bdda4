/**
 * V8 forgets the hidden class of objects when the last of them is collected, and with it all code that was compiled for them: when a
 * connection is opened after another was closed, or a cache was emptied, everything would be slow again. One object of each class
 * that stays prevents that. Measured: the first thousand loads after a collection took twice the time without them.
 */
const specimens: object[] = [];

/** Keeps an object that is like those in use. It must not refer to anything that should be collected. */
export function keepSpecimen<T extends object>(object: T): T {
  specimens.push(object);
  return object;
}

/**
 * An empty array for objects. To V8 an array that never held one is an array of whole numbers: code that was compiled for pushing
 * objects onto filled ones is thrown away when it meets that.
 */
export function objectList<T extends object>(): T[] {
  const list = [specimens as object as T];
  list.pop();
  return list;
}

/**
 * Code that was compiled for arrays may rest on that none of their kind was ever frozen, and is forgotten when the first one is: as
 * happens when a value is let go (`persistence/sealing.ts`). So it is done before there is such code.
 */
for (const list of [[''], new Array<string>(1)]) Object.freeze(list);
