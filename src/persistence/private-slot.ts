/** A private value on objects that are made without their constructor. */

class Identity {
  constructor(object: object) {
    return object;
  }
}

/** One private value of type `T` an object. */
export interface PrivateSlot<T> {
  /** The value; a TypeError when none was ever put. */
  get(object: object): T;
  put(object: object, value: T): void;
}

export function privateSlot<T>(): PrivateSlot<T> {
  class Slot extends Identity {
    #value: T;

    constructor(object: object, value: T) {
      super(object);
      this.#value = value;
    }

    static get(object: object): T {
      return (object as Slot).#value;
    }

    static put(object: object, value: T): void {
      if (#value in object) object.#value = value;
      else new Slot(object, value);
    }
  }
  return { get: Slot.get, put: Slot.put };
}
