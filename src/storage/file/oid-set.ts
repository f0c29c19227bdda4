import type { Oid } from '../../ids';

const PAGE_BITS = 1 << 15;

/** A set of oids as bits: two megabytes for sixteen million dense ones. */
export class OidSet {
  readonly #pages = new Map<number, Uint32Array>();
  readonly #foreign = new Set<Oid>();
  #lastNumber = -1;
  #lastPage: Uint32Array | undefined;

  has(oid: Oid): boolean {
    if (oid < 0) return this.#foreign.has(oid);
    const page = this.#page(Math.floor(oid / PAGE_BITS));
    const bit = oid % PAGE_BITS;
    return page !== undefined && (page[bit >> 5]! & (1 << (bit & 31))) !== 0;
  }

  /** True when it was not there yet. */
  add(oid: Oid): boolean {
    if (oid < 0) {
      if (this.#foreign.has(oid)) return false;
      this.#foreign.add(oid);
      return true;
    }
    const number = Math.floor(oid / PAGE_BITS);
    let page = this.#page(number);
    if (page === undefined) {
      page = new Uint32Array(PAGE_BITS >> 5);
      this.#pages.set(number, page);
    }
    const bit = oid % PAGE_BITS;
    const mask = 1 << (bit & 31);
    if ((page[bit >> 5]! & mask) !== 0) return false;
    page[bit >> 5]! |= mask;
    return true;
  }

  #page(number: number): Uint32Array | undefined {
    if (number === this.#lastNumber && this.#lastPage !== undefined) return this.#lastPage;
    const page = this.#pages.get(number);
    this.#lastNumber = number;
    this.#lastPage = page;
    return page;
  }
}
