/** What a class declares and no database will ever hold: said once, when the class is registered. */
import type { AnyClass } from './interfaces';

/** A private field at the start of a line or after `;`, `{` or `}`; methods and accessors have a parenthesis or a keyword. */
const PRIVATE_FIELD = /(?:^|[;{}\n])\s*#([\w$]+)\s*(?:=[^=>]|;|\n)/g;
/** What compilers make of `accessor x`. */
const ACCESSOR_STORAGE = /^_?(.+?)_?accessor_?storage$/;

const NATIVE = /\{\s*\[native code\]\s*\}$/;

/** Warns of private and `accessor` fields. `known` lists those that are meant to be lost. */
export function warnOfUnsavedFields(ctor: AnyClass, dotted: string, known: readonly string[]): void {
  const source = Function.prototype.toString.call(ctor);
  if (NATIVE.test(source)) return;
  const names = new Set<string>();
  for (const [, name] of source.matchAll(PRIVATE_FIELD)) {
    const accessor = ACCESSOR_STORAGE.exec(name!)?.[1];
    const shown = accessor === undefined ? `#${name!}` : accessor;
    if (!known.includes(shown)) names.add(shown);
  }
  if (names.size === 0) return;
  process.emitWarning(
    `${dotted}: ${[...names].join(', ')} will not be saved (private and accessor fields never are), and a loaded object has none. Use ordinary fields, or name them in @persistent({ transient: [...] }) if that is meant.`,
    { code: 'ZODB_UNSAVED_FIELD' },
  );
}
