import { dumps, loads } from '../pickle';

const EMPTY = new Uint8Array(0);

/** What a transaction says of itself; each part as text (or value) or as the bytes at rest. */
export interface TransactionMetaDataInit {
  readonly user?: string | Uint8Array;
  readonly description?: string | Uint8Array;
  /** Names and plain values, or the pickle of such a dict; `{}` is no bytes. */
  readonly extension?: Readonly<Record<string, unknown>> | Uint8Array;
}

/**
 * User, description and extension of a transaction, as given at commit or as stored. Bytes are kept exactly; text and
 * values are made from them, and they from these, when first asked for. While a transaction commits, this object is
 * also its identity: see `Committer`. (`ZODB/src/ZODB/Connection.py`, `TransactionMetaData`.)
 */
export class TransactionMetaData {
  #user: string | Uint8Array;
  #description: string | Uint8Array;
  #extension: Readonly<Record<string, unknown>> | undefined;
  #extensionBytes: Uint8Array | undefined;

  constructor(init: TransactionMetaDataInit = {}) {
    this.#user = init.user ?? '';
    this.#description = init.description ?? '';
    if (init.extension instanceof Uint8Array) this.#extensionBytes = init.extension;
    else if (init.extension !== undefined) this.#extension = init.extension;
    else this.#extensionBytes = EMPTY;
  }

  /** UTF-8; bytes that are not valid show as U+FFFD. */
  get user(): string {
    return text(this.#user);
  }
  get userBytes(): Uint8Array {
    return bytes(this.#user);
  }

  get description(): string {
    return text(this.#description);
  }
  get descriptionBytes(): Uint8Array {
    return bytes(this.#description);
  }

  /** Not to be changed. Values of classes that are not known here are `Broken`; keys that are no text become text. */
  get extension(): Readonly<Record<string, unknown>> {
    return (this.#extension ??= decodeExtension(this.#extensionBytes!));
  }
  get extensionBytes(): Uint8Array {
    return (this.#extensionBytes ??= encodeExtension(this.#extension!));
  }
}

function text(value: string | Uint8Array): string {
  if (typeof value === 'string') return value;
  return value.length === 0 ? '' : Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8');
}

function bytes(value: string | Uint8Array): Uint8Array {
  if (typeof value !== 'string') return value;
  return value === '' ? EMPTY : Buffer.from(value, 'utf8');
}

function decodeExtension(pickle: Uint8Array): Readonly<Record<string, unknown>> {
  if (pickle.length === 0) return {};
  const value = loads(pickle, { unknown: 'broken' });
  if (value instanceof Map) {
    return Object.fromEntries(Array.from(value, ([key, item]): [string, unknown] => [String(key), item]));
  }
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function encodeExtension(extension: Readonly<Record<string, unknown>>): Uint8Array {
  return Object.keys(extension).length === 0 ? EMPTY : dumps(extension);
}
