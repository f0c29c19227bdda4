/** What the thread that uses a storage and the thread with its sockets say to each other. */

/** Kinds of records; a record's tag is the number of its connection times four, plus this. */
export const RECORD = {
  opened: 0,
  data: 1,
  closed: 2,
  /** A file is on its way; a record that is not empty is a {@link FileFailure}. */
  file: 3,
} as const;

/** Orders to the worker, done in order. Bytes for a connection go as `[connection, bytes]`. */
export type SocketOrder =
  | {
      readonly op: 'connect';
      readonly connection: number;
      /** Milliseconds to wait before. */
      readonly delay: number;
      /** Milliseconds after which the attempt is given up. */
      readonly timeout: number;
      readonly address: { readonly host?: string; readonly port: number } | { readonly path: string };
      readonly tls: SocketTls | undefined;
    }
  | {
      readonly op: 'heartbeat';
      readonly connection: number;
      readonly bytes: Uint8Array;
      readonly interval: number;
    }
  | SendFileOrder
  | TakeFileOrder
  | { readonly op: 'drop file'; readonly connection: number; readonly file: string }
  | { readonly op: 'close'; readonly connection: number };

/** Sends a file in messages. What is sent after this order leaves after the file. */
export interface SendFileOrder {
  readonly op: 'send file';
  readonly connection: number;
  readonly file: string;
  readonly size: number;
  /** Bytes of the file in each message but the last. */
  readonly chunk: number;
  readonly whole: MessageShape;
  readonly last: MessageShape;
}

/** Writes the parts of a file that arrive in messages; of these messages nothing is passed on. */
export interface TakeFileOrder {
  readonly op: 'take file';
  readonly connection: number;
  /** Made by the worker; must not exist. */
  readonly file: string;
  /** How such a message begins, its length left out; a byte string follows. */
  readonly prefix: Uint8Array;
  /** Number of bytes after the byte string. */
  readonly trailer: number;
}

/** The bytes of a message around those of a file. */
export interface MessageShape {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

/** A file that arrives could not be written. JSON. */
export interface FileFailure {
  readonly file: string;
  readonly reason: string;
}

/** Certificates, as PEM text. */
export interface SocketTls {
  readonly ca: readonly string[];
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  readonly serverName?: string;
  readonly checkServerName: boolean;
}
