import { createCipheriv, createDecipheriv } from 'node:crypto';
import { CorruptionError, refuseUnknownOptions } from '../../errors';
import { formatOid, tidFromBytes, type Oid, type Tid } from '../../ids';
import type { Storage } from '../interfaces';
import { BlobEncryption } from './blob-encryption';
import { checkHeader, CLEAR, HEADER, Keys, makeHeader, oidIn, RECORD_MARKER, TAG } from './sealing';
import type { RecordTransform } from './transform';
import { TransformStorage } from './transform-storage';

/** Options of {@link EncryptedStorage}. */
export interface EncryptedStorageOptions {
  /** 32 bytes, from a key store. What is stored from now on is sealed with it. */
  readonly key: Uint8Array;
  /** Earlier keys: what was sealed with them can still be read. */
  readonly oldKeys?: readonly Uint8Array[];
}

/**
 * A storage whose records and blobs are encrypted. To change the key, open it with the new one as `key` and the old one among
 * `oldKeys`: new revisions use the new key. To be rid of the old key altogether, copy the database into a new one
 * (`copyTransactionsFrom`).
 */
export class EncryptedStorage extends TransformStorage {
  constructor(base: Storage, options: EncryptedStorageOptions) {
    refuseUnknownOptions('Encrypted storage', options, ['key', 'oldKeys']);
    super(base, new Encryption(options));
  }
}

class Encryption implements RecordTransform {
  readonly name = 'encrypted';
  readonly boundToTid = true;
  readonly blobs: BlobEncryption;
  readonly #keys: Keys;

  constructor({ key, oldKeys = [] }: EncryptedStorageOptions) {
    this.#keys = new Keys([key, ...oldKeys]);
    this.blobs = new BlobEncryption(this.#keys);
  }

  encode(record: Uint8Array, oid: Oid, tid: Tid): Uint8Array {
    const header = makeHeader(RECORD_MARKER, this.#keys.current, oid, tid);
    const cipher = createCipheriv('aes-256-gcm', this.#keys.current.bytes, header.subarray(CLEAR));
    cipher.setAAD(header.subarray(0, CLEAR));
    return Buffer.concat([header, cipher.update(record), cipher.final(), cipher.getAuthTag()]);
  }

  decode(encoded: Uint8Array, oid: Oid | undefined, serial: Tid | undefined): Uint8Array {
    const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.length);
    const key = checkHeader(bytes, RECORD_MARKER, this.#keys, oid, serial);
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(CLEAR, HEADER), {
      authTagLength: TAG,
    });
    decipher.setAAD(bytes.subarray(0, CLEAR));
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(HEADER, bytes.length - TAG)), decipher.final()]);
    } catch (cause) {
      throw new CorruptionError(
        `The encrypted record of ${formatOid(oidIn(bytes))} was changed after it was written.`,
        {
          code: 'NOT_AUTHENTIC',
          cause,
        },
      );
    }
  }

  tidOf(encoded: Uint8Array): Tid {
    return tidFromBytes(encoded, 15);
  }
}
