/**
 * Compressed records. A record is kept compressed when that makes it shorter, after a marker:
 *
 * ```
 * ".z" then a zlib stream      as zc.zlibstorage writes it: Python reads ours, and we read Python's
 * ".Z" then a zstd frame
 * anything else                the record itself
 * ```
 *
 * A record that begins with a marker by itself is always compressed, however long that makes it. (Python leaves it as it is,
 * and can't read it back.)
 */
import * as zlib from 'node:zlib';
import { CorruptionError, InvalidArgumentError, refuseUnknownOptions, UnsupportedError } from '../../errors';
import { formatOid } from '../../ids';
import type { Oid, Tid } from '../../ids';
import type { Storage } from '../interfaces';
import type { RecordTransform } from './transform';
import { TransformStorage } from './transform-storage';

const DOT = 0x2e;
const ZLIB = 0x7a;
const ZSTD = 0x5a;
/** Shorter records are not worth it. */
const MIN_LENGTH = 20;
/** No record is longer; a small one that claims to be more is hostile. */
const MAX_RECORD = 1 << 30;

/** A zstd implementation. */
export interface ZstdCodec {
  compress(bytes: Uint8Array): Uint8Array;
  decompress(bytes: Uint8Array): Uint8Array;
}

/** Options of {@link ZlibStorage}. */
export interface ZlibStorageOptions {
  /** Compress what is stored. Default true; false only reads what was compressed before. */
  readonly compress?: boolean;
  /** 1 (fast) to 9 (small). Default zlib's. */
  readonly level?: number;
  /** For reading records that {@link ZstdStorage} wrote. */
  readonly zstd?: ZstdCodec;
}

/** A storage whose records are compressed with zlib, as by Python's `zc.zlibstorage`. */
export class ZlibStorage extends TransformStorage {
  constructor(base: Storage, options: ZlibStorageOptions = {}) {
    refuseUnknownOptions('Zlib storage', options, ['compress', 'level', 'zstd']);
    const { compress = true, level, zstd } = options;
    if (level !== undefined && !(Number.isInteger(level) && level >= 1 && level <= 9)) {
      throw new InvalidArgumentError(`The option level is a whole number from 1 to 9, not ${String(level)}.`);
    }
    const settings = level === undefined ? {} : { level };
    super(
      base,
      new Compression(
        'zlib',
        ZLIB,
        compress ? (record) => zlib.deflateSync(record, settings) : undefined,
        zstd,
      ),
    );
  }
}

/** A storage whose records are compressed with zstd: smaller and several times faster than zlib. Python can't read it. */
export class ZstdStorage extends TransformStorage {
  /** @param zstd from `await loadZstd()` */
  constructor(base: Storage, zstd: ZstdCodec) {
    if (typeof (zstd as Partial<ZstdCodec> | undefined)?.compress !== 'function') {
      throw new InvalidArgumentError('ZstdStorage needs a codec: new ZstdStorage(base, await loadZstd()).');
    }
    super(base, new Compression('zstd', ZSTD, (record) => zstd.compress(record), zstd));
  }
}

/** Node's own zstd (from 22.15 on), else the package `@bokuweb/zstd-wasm`. `UnsupportedError` when there is neither. */
export async function loadZstd(): Promise<ZstdCodec> {
  const own = zlib as Partial<NodeZstd>;
  if (own.zstdCompressSync && own.zstdDecompressSync) {
    const { zstdCompressSync, zstdDecompressSync } = own as NodeZstd;
    return {
      compress: (bytes) => zstdCompressSync(bytes),
      decompress: (bytes) => zstdDecompressSync(bytes, { maxOutputLength: MAX_RECORD }),
    };
  }
  try {
    const { init, compress, decompress } = await import('@bokuweb/zstd-wasm');
    await init();
    return {
      compress: (bytes) => compress(Buffer.from(bytes), 3),
      decompress: (bytes) => decompress(Buffer.from(bytes)),
    };
  } catch (cause) {
    throw new UnsupportedError('zstd needs Node 22.15 or later, or the package @bokuweb/zstd-wasm.', {
      cause,
    });
  }
}

interface NodeZstd {
  zstdCompressSync(bytes: Uint8Array): Buffer;
  zstdDecompressSync(bytes: Uint8Array, options: { maxOutputLength: number }): Buffer;
}

/** Compresses with one method, reads all. */
class Compression implements RecordTransform {
  readonly boundToTid = false;
  readonly name: string;
  readonly #marker: number;
  readonly #compress: ((record: Uint8Array) => Uint8Array) | undefined;
  readonly #zstd: ZstdCodec | undefined;

  constructor(
    name: string,
    marker: number,
    compress: ((record: Uint8Array) => Uint8Array) | undefined,
    zstd: ZstdCodec | undefined,
  ) {
    this.name = name;
    this.#marker = marker;
    this.#compress = compress;
    this.#zstd = zstd;
  }

  encode(record: Uint8Array): Uint8Array {
    const must = isMarked(record);
    if (this.#compress === undefined) {
      if (!must) return record;
      return marked(ZLIB, zlib.deflateSync(record));
    }
    if (record.length <= MIN_LENGTH && !must) return record;
    const compressed = this.#compress(record);
    return must || compressed.length + 2 < record.length ? marked(this.#marker, compressed) : record;
  }

  decode(record: Uint8Array, oid: Oid | undefined, _serial: Tid | undefined): Uint8Array {
    if (!isMarked(record)) return record;
    const body = record.subarray(2);
    try {
      if (record[1] === ZLIB) return zlib.inflateSync(body, { maxOutputLength: MAX_RECORD });
      if (this.#zstd !== undefined) return this.#zstd.decompress(body);
    } catch (cause) {
      throw new CorruptionError(`The compressed record${of(oid)} is damaged.`, { cause });
    }
    throw new UnsupportedError(
      `The record${of(oid)} is compressed with zstd: open the storage with ZstdStorage, or give ZlibStorage "zstd".`,
    );
  }
}

function isMarked(record: Uint8Array): boolean {
  return record[0] === DOT && (record[1] === ZLIB || record[1] === ZSTD);
}

function marked(marker: number, body: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(body.length + 2);
  bytes[0] = DOT;
  bytes[1] = marker;
  bytes.set(body, 2);
  return bytes;
}

function of(oid: Oid | undefined): string {
  return oid === undefined ? '' : ` of ${formatOid(oid)}`;
}
