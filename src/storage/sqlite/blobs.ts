import { UnsupportedError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import type { BlobReader, BlobSource } from '../interfaces';
import { BlobWorkDirectory } from '../memory/blobs';
import type { Engine } from './engine';

/** Contents of blobs, staged before the commit that refers to them. */
export class Blobs {
  readonly #engine: Engine;
  readonly #work = new BlobWorkDirectory();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  stage(_source: BlobSource): number {
    throw new UnsupportedError(`${this.#engine.path}: blobs are not supported.`);
  }

  attach(_oid: Oid, _seq: number, _content: number): void {}

  contentOf(_oid: Oid, _seq: number): number | undefined {
    return undefined;
  }

  discard(_contents: readonly number[]): void {}

  open(_oid: Oid, _serial: Tid): BlobReader {
    throw new UnsupportedError(`${this.#engine.path}: blobs are not supported.`);
  }

  workDirectory(): string {
    return this.#work.path;
  }

  close(): void {
    this.#work.close();
  }
}
