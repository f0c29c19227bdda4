/**
 * Encrypted records: AES-256-GCM, each record sealed together with its oid and tid, so that none can be changed, or put in the place of
 * another one or of its own successor, without being noticed.
 *
 * ```
 * record   0  ".e" 0x01      3   marker and version
 *          3  key id         4   the first bytes of HMAC-SHA256(key, "zodb key id")
 *          7  oid            8   ┐ authenticated with the marker and the key id
 *         15  tid            8   ┘
 *         23  nonce         12   random
 *         35  sealed data        as long as the record
 *             tag           16
 *
 * blob     the same first 35 bytes, marker ".b" 0x01, then chunks of 65,536 bytes (the last one shorter, perhaps empty),
 *          each sealed and followed by its tag. A chunk's nonce is the file's with the chunk's number added to its
 *          last 4 bytes; authenticated are the 35 bytes, and a byte that is 1 for the last chunk.
 * ```
 *
 * Sizes, the graph of oids and the times of transactions are not hidden, nor are users and descriptions of transactions.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { CorruptionError, InvalidArgumentError } from '../../errors';
import {
  formatOid,
  formatTid,
  oidFromBytes,
  oidToBytes,
  tidFromBytes,
  tidToBytes,
  type Oid,
  type Tid,
} from '../../ids';

export const RECORD_MARKER = Buffer.from([0x2e, 0x65, 1]);
export const BLOB_MARKER = Buffer.from([0x2e, 0x62, 1]);
/** Length of what is authenticated but not hidden. */
export const CLEAR = 23;
const NONCE = 12;
/** Length of everything before the sealed data. */
export const HEADER = CLEAR + NONCE;
export const TAG = 16;
const KEY_BYTES = 32;

/** A key and what names it in stored data. */
export interface SealingKey {
  readonly id: Buffer;
  readonly bytes: Buffer;
}

/** The keys by their ids. */
export class Keys {
  readonly current: SealingKey;
  readonly #byId = new Map<string, SealingKey>();

  constructor(keys: readonly Uint8Array[]) {
    const made = keys.map((key) => {
      if (!(key instanceof Uint8Array) || key.length !== KEY_BYTES) {
        throw new InvalidArgumentError(
          `An encryption key is ${KEY_BYTES} bytes; derive one from a password with scrypt.`,
        );
      }
      const id = createHmac('sha256', key).update('zodb key id').digest().subarray(0, 4);
      return { id, bytes: Buffer.from(key) };
    });
    this.current = made[0]!;
    for (const key of made) this.#byId.set(key.id.toString('hex'), key);
  }

  get(id: Buffer): SealingKey | undefined {
    return this.#byId.get(id.toString('hex'));
  }
}

export function makeHeader(marker: Buffer, key: SealingKey, oid: Oid, tid: Tid): Buffer {
  const header = Buffer.allocUnsafe(HEADER);
  marker.copy(header, 0);
  key.id.copy(header, 3);
  oidToBytes(oid, header, 7);
  tidToBytes(tid, header, 15);
  randomBytes(NONCE).copy(header, CLEAR);
  return header;
}

/** The key of sealed bytes, when they are what they should be. `CorruptionError`. */
export function checkHeader(
  bytes: Buffer,
  marker: Buffer,
  keys: Keys,
  oid: Oid | undefined,
  serial: Tid | undefined,
): SealingKey {
  const what = oid === undefined ? 'A record' : `The record of ${formatOid(oid)}`;
  if (bytes.length < HEADER + TAG || !bytes.subarray(0, 3).equals(marker)) {
    throw new CorruptionError(`${what} is not encrypted. Was it written without the wrapper?`, {
      code: 'NOT_ENCRYPTED',
    });
  }
  const key = keys.get(bytes.subarray(3, 7));
  if (key === undefined) {
    throw new CorruptionError(
      `${what} was sealed with a key that is not here (id ${bytes.toString('hex', 3, 7)}). Give the right "key", or add it to "oldKeys".`,
      { code: 'WRONG_KEY' },
    );
  }
  if (
    (oid !== undefined && oidIn(bytes) !== oid) ||
    (serial !== undefined && tidFromBytes(bytes, 15) !== serial)
  ) {
    throw new CorruptionError(
      `${what} is that of ${formatOid(oidIn(bytes))} at ${formatTid(tidFromBytes(bytes, 15))}: somebody put it in the wrong place.`,
      { code: 'NOT_AUTHENTIC' },
    );
  }
  return key;
}

/** The oid that sealed bytes belong to. */
export function oidIn(bytes: Buffer): Oid {
  return oidFromBytes(bytes, 7);
}
