import { DanglingReferenceError } from '../errors';
import { formatOid, type Oid } from '../ids';
import type { ClassName } from '../persistence/index';
import type { ConnectionJar } from './connection-jar';

interface Referrer {
  readonly oid: Oid;
  readonly references: readonly Oid[];
  readonly className: ClassName | string;
}

/**
 * Refuses to commit a strong reference to an object that does not exist: one that was packed away while the program
 * still held it, or that never was. What is new in this transaction exists; so does what this connection loaded, as
 * long as nothing was removed from the storage since.
 */
export class ReferenceCheck {
  readonly #jar: ConnectionJar;

  constructor(jar: ConnectionJar) {
    this.#jar = jar;
  }

  check({ oid, references, className }: Referrer): void {
    const { storage, cache, overlay } = this.#jar;
    for (const target of references) {
      if (overlay.has(target) || cache.isNew(target)) continue;
      if (storage.exists(target)) continue;
      const name = typeof className === 'string' ? className : `${className.module}.${className.name}`;
      throw new DanglingReferenceError(
        `${name} ${formatOid(oid)} refers to ${formatOid(target)}, which does not exist any more: it was removed by a ` +
          'pack, or never stored. Make a new object, or remove the reference.',
        oid,
        target,
      );
    }
  }
}
