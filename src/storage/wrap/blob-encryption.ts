import { createCipheriv, createDecipheriv } from 'node:crypto';
import * as fs from 'node:fs';
import { CorruptionError } from '../../errors';
import { formatOid, type Oid, type Tid } from '../../ids';
import { newWorkingFile } from '../blob-working-files';
import type { BlobReader, BlobSource } from '../interfaces';
import {
  BLOB_MARKER,
  checkHeader,
  CLEAR,
  HEADER,
  makeHeader,
  TAG,
  type Keys,
  type SealingKey,
} from './sealing';
import type { BlobTransform } from './transform';

/** Bytes sealed together. */
const CHUNK = 1 << 16;

/** Seals the contents of blobs chunk by chunk; the layout stands in `sealing.ts`. */
export class BlobEncryption implements BlobTransform {
  readonly #keys: Keys;

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  encode(source: BlobSource, oid: Oid, tid: Tid, directory: string): BlobSource {
    const target = newWorkingFile(directory);
    const reading = openSource(source);
    const out = fs.openSync(target, 'wx', 0o600);
    try {
      const key = this.#keys.current;
      const header = makeHeader(BLOB_MARKER, key, oid, tid);
      // Not `writeSync`: a disk that is nearly full takes a part only.
      fs.writeFileSync(out, header);
      const chunks = chunkCount(reading.size);
      for (let number = 0; number < chunks; number++) {
        const plain = reading.chunk(number * CHUNK, Math.min(CHUNK, reading.size - number * CHUNK));
        const cipher = createCipheriv('aes-256-gcm', key.bytes, nonceOf(header, number));
        cipher.setAAD(associated(header, number === chunks - 1));
        fs.writeFileSync(out, Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]));
      }
    } catch (error) {
      fs.rmSync(target, { force: true });
      throw error;
    } finally {
      fs.closeSync(out);
      reading.close();
    }
    if (!(source instanceof Uint8Array) && source.consume) fs.rmSync(source.path, { force: true });
    return { path: target, consume: true };
  }

  decode(reader: BlobReader, oid: Oid, serial: Tid): BlobReader {
    try {
      return new SealedReader(reader, this.#keys, oid, serial);
    } catch (error) {
      reader.close();
      throw error;
    }
  }
}

/** Opens chunks as they are asked for; the last one is kept. */
class SealedReader implements BlobReader {
  readonly size: number;
  readonly #inner: BlobReader;
  readonly #header: Buffer;
  readonly #key: SealingKey;
  readonly #oid: Oid;
  readonly #chunks: number;
  #chunk = Buffer.alloc(0);
  #number = -1;

  constructor(inner: BlobReader, keys: Keys, oid: Oid, serial: Tid) {
    this.#inner = inner;
    this.#oid = oid;
    const head = Buffer.alloc(Math.min(inner.size, HEADER + TAG));
    readFully(inner, head, 0);
    this.#key = checkHeader(head, BLOB_MARKER, keys, oid, serial);
    this.#header = head.subarray(0, HEADER);
    const sealed = inner.size - HEADER;
    this.#chunks = Math.ceil(sealed / (CHUNK + TAG));
    this.size = sealed - this.#chunks * TAG;
    // The end must be authentic, or somebody could cut chunks off.
    this.#open(this.#chunks - 1);
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    const wanted = Math.min(length, target.length - offset, this.size - position);
    let done = 0;
    while (done < wanted) {
      const number = Math.floor((position + done) / CHUNK);
      if (number !== this.#number) this.#open(number);
      const start = position + done - number * CHUNK;
      const part = this.#chunk.subarray(start, start + wanted - done);
      target.set(part, offset + done);
      done += part.length;
    }
    return done;
  }

  close(): void {
    this.#inner.close();
  }

  #open(number: number): void {
    const last = number === this.#chunks - 1;
    const start = HEADER + number * (CHUNK + TAG);
    const sealed = Buffer.alloc(last ? this.#inner.size - start : CHUNK + TAG);
    readFully(this.#inner, sealed, start);
    const decipher = createDecipheriv('aes-256-gcm', this.#key.bytes, nonceOf(this.#header, number), {
      authTagLength: TAG,
    });
    decipher.setAAD(associated(this.#header, last));
    try {
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
      this.#chunk = Buffer.concat([
        decipher.update(sealed.subarray(0, sealed.length - TAG)),
        decipher.final(),
      ]);
    } catch (cause) {
      throw new CorruptionError(
        `The encrypted blob ${formatOid(this.#oid)} was changed after it was written.`,
        {
          code: 'NOT_AUTHENTIC',
          cause,
        },
      );
    }
    this.#number = number;
  }
}

function chunkCount(size: number): number {
  return Math.max(1, Math.ceil(size / CHUNK));
}

/** The file's nonce with the chunk's number added to its last word. */
function nonceOf(header: Buffer, number: number): Buffer {
  const nonce = Buffer.from(header.subarray(CLEAR, HEADER));
  nonce.writeUInt32BE((nonce.readUInt32BE(8) + number) >>> 0, 8);
  return nonce;
}

function associated(header: Buffer, last: boolean): Buffer {
  return Buffer.concat([header, Buffer.from([last ? 1 : 0])]);
}

function readFully(reader: BlobReader, target: Buffer, position: number): void {
  for (let done = 0; done < target.length;) {
    const count = reader.read(target, done, target.length - done, position + done);
    if (count === 0) return;
    done += count;
  }
}

interface SourceReader {
  readonly size: number;
  chunk(position: number, length: number): Uint8Array;
  close(): void;
}

function openSource(source: BlobSource): SourceReader {
  if (source instanceof Uint8Array) {
    return {
      size: source.length,
      chunk: (position, length) => source.subarray(position, position + length),
      close: () => undefined,
    };
  }
  const fd = fs.openSync(source.path, 'r');
  return {
    size: fs.fstatSync(fd).size,
    chunk(position, length) {
      const bytes = Buffer.alloc(length);
      for (let done = 0; done < length;) {
        const count = fs.readSync(fd, bytes, done, length - done, position + done);
        if (count === 0) throw new CorruptionError(`${source.path} became shorter while it was read.`);
        done += count;
      }
      return bytes;
    },
    close: () => fs.closeSync(fd),
  };
}
