/** What a class declares and no database will ever hold: said once, when the class is registered. */
import type { AnyClass } from './interfaces';

/** A private member of objects, where a class body can declare one. */
const PRIVATE_MEMBER = /(?:^|[;{}\n])\s*(?:async\s+)?(?:[gs]et\s+)?\*?\s*#([\w$]+)\s*(?:=[^=>]|[;(\n])/g;
/** What compilers make of `accessor x`. */
const ACCESSOR_STORAGE = /^_?(.+?)_?accessor_?storage$/;

const NATIVE = /\{\s*\[native code\]\s*\}$/;

/** Warns of private members and `accessor` fields. `known` lists those that are meant to be lost. */
export function warnOfUnsavedFields(ctor: AnyClass, dotted: string, known: readonly string[]): void {
  const source = Function.prototype.toString.call(ctor);
  if (NATIVE.test(source)) return;
  const names = new Set<string>();
  for (const [, name] of source.matchAll(PRIVATE_MEMBER)) {
    const accessor = ACCESSOR_STORAGE.exec(name!)?.[1];
    const shown = accessor === undefined ? `#${name!}` : accessor;
    if (!known.includes(shown)) names.add(shown);
  }
  if (names.size === 0) return;
  process.emitWarning(
    `${dotted}: ${[...names].join(', ')} will not be saved, and a loaded object has none (private members and accessor fields are installed by the constructor, which does not run). Use ordinary members, or name them in @persistent({ transient: [...] }) if that is meant.`,
    { code: 'ZODB_UNSAVED_FIELD' },
  );
}
