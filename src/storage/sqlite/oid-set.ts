import type { Oid } from '../../ids';

const PAGE_BITS = 65_536;

/** A set of oids, or of other whole numbers, a bit each where they lie close together. */
export class OidSet {
  readonly #pages = new Map<number, Uint32Array>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(oid: Oid): boolean {
    const page = this.#pages.get(Math.floor(oid / PAGE_BITS));
    const bit = oid & (PAGE_BITS - 1);
    return page !== undefined && (page[bit >>> 5]! & (1 << (bit & 31))) !== 0;
  }

  /** False when it was in the set already. */
  add(oid: Oid): boolean {
    const number = Math.floor(oid / PAGE_BITS);
    let page = this.#pages.get(number);
    if (page === undefined) this.#pages.set(number, (page = new Uint32Array(PAGE_BITS / 32)));
    const bit = oid & (PAGE_BITS - 1);
    const mask = 1 << (bit & 31);
    if ((page[bit >>> 5]! & mask) !== 0) return false;
    page[bit >>> 5]! |= mask;
    this.#size++;
    return true;
  }
}
