import { randomInt } from 'node:crypto';
import type { Oid } from '../../ids';
import type { Layers } from './layers';

/** New oids begin somewhere here, far from those that databases count up to. */
const FIRST_OID = 2 ** 40;
const OID_STARTS = 2 ** 47;

/** Oids that neither layer has. */
export class FreeOids {
  readonly #layers: Layers;
  #next = randomInt(FIRST_OID, OID_STARTS);

  constructor(layers: Layers) {
    this.#layers = layers;
  }

  take(): Oid {
    let oid: Oid;
    do oid = this.#next++ as Oid;
    while (this.#layers.place(oid) !== 'nowhere');
    return oid;
  }
}
