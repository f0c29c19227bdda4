/**
 * Objects of classes that nobody registered. Their state survives untouched, so a program can move, delete and export what it does not understand.
 */
import { inspect } from 'node:util';
import { BrokenModified } from './errors';
import { prepareClass } from './guard';
import { Managed } from './managed';
import { stampOf } from './stamp';

/** Stands for an object whose class is missing here. `state` is what its record holds; setting a field throws `BrokenModified`. */
export class Broken extends Managed {
  /** The decoded state, references in it not followed. Frozen at its top. */
  get state(): unknown {
    this.activate();
    return states.get(this);
  }

  /** Dotted name of the missing class. */
  get className(): string {
    return stampOf(this)?.cache?.classNameOf(this) ?? 'unknown';
  }

  __getstate__(): unknown {
    return states.get(this);
  }

  __setstate__(state: unknown): void {
    states.set(this, state);
  }

  dropState(): void {
    states.delete(this);
  }

  toJSON(): unknown {
    return { $broken: this.className, state: this.state };
  }

  [inspect.custom](): string {
    return `<broken ${this.className}>`;
  }
}

prepareClass(Broken, {}, undefined);

/** What is set on a Broken and is no member of it would look stored, and be lost. */
Object.setPrototypeOf(
  Broken.prototype,
  new Proxy(Object.create(Managed.prototype) as object, {
    set(target, key, value, receiver: Broken): boolean {
      if (typeof key === 'symbol' || key in target) return Reflect.set(target, key, value, receiver);
      throw new BrokenModified(receiver.className, key);
    },
  }),
);

const states = new WeakMap<Broken, unknown>();
