import type { BridgeScope } from '../../bridge/index';

/** Which connection to the server a statement goes through: they don't wait for each other. */
export const Channel = { read: 0, commit: 1, pack: 2 } as const;
export type Channel = (typeof Channel)[keyof typeof Channel];

/** Tags of the records that {@link serverWorker} sends. */
export const Tag = { rows: 0, error: 1, notice: 2 } as const;

/** Where a statement stands: inside of a transaction, or it begins or ends one. Refused when that transaction is not the one of its connection. */
export interface Place {
  readonly transaction: number;
  readonly role: 'begin' | 'inside' | 'end';
}

/** A statement for the worker: with parameters one statement, else one or several, of which the last one's rows come back. */
export interface Order {
  readonly id: number;
  readonly channel: Channel;
  readonly text: string;
  readonly values: readonly unknown[] | undefined;
  /** Statements of one name are prepared once a connection. */
  readonly name: string | undefined;
  /** The transaction that it belongs to. */
  readonly place: Place | undefined;
}

/** Nobody waits for the answer to an order any more: its connection is taken for dead. */
export interface GiveUp {
  readonly givenUp: number;
  readonly channel: Channel;
}

/** What {@link serverWorker} is given. */
export interface ServerSetup {
  /** Where the package `pg` is. */
  readonly driver: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** What each new connection begins with. */
  readonly prologue: string;
  /** The channel of PostgreSQL on which commits are told. */
  readonly listen: string;
}

/** What is used of `pg`. */
interface Client {
  connect(): Promise<void>;
  query(config: unknown): Promise<Result | Result[]>;
  on(event: string, listener: (value: never) => void): void;
  end(): Promise<void>;
}
interface Result {
  readonly rows: readonly (readonly (string | null)[])[];
  readonly fields: readonly { readonly dataTypeID: number }[];
}

/**
 * Runs in the bridge's thread, self-contained: statements in, rows out. One connection a channel, made when it is first needed, and
 * again after it was lost. An answer is the order's number (u32), the number of columns (u32), then the cells of all rows: u32 length
 * (2^32 − 1: NULL) and bytes, text but for `bytea`.
 */
export function serverWorker({ load, data, send, onMessage }: BridgeScope): void {
  const { driver, config, prologue, listen } = data as ServerSetup;
  const { Client } = load(driver) as { Client: new (config: unknown) => Client };
  const BYTEA = 17;
  const NULL = 0xffff_ffff;
  /** A standby server takes no LISTEN: who reads there polls. */
  const READ_ONLY = '25006';
  const links: (Link | undefined)[] = [];
  const queues: Promise<unknown>[] = [];
  /** The transaction that a connection is in. */
  const begun: ({ readonly transaction: number; readonly link: Link } | undefined)[] = [];
  /** The last order of each channel that was dealt with. */
  const answered: number[] = [];

  interface Link {
    readonly client: Client;
    ready: Promise<unknown>;
  }

  /** The connection is of no use any more. */
  function drop(channel: number, link: Link): void {
    if (links[channel] === link) links[channel] = undefined;
    // With a statement under way it cuts the line; else it says farewell.
    link.client.end().catch(() => undefined);
  }

  function connect(channel: number): Link {
    const client = new Client(config);
    const link: Link = { client, ready: Promise.resolve() };
    client.on('error', () => drop(channel, link));
    client.on('end', () => {
      drop(channel, link);
      if (channel === 0) send(2, new Uint8Array(0));
    });
    client.on('notification', () => send(2, new Uint8Array(0)));
    link.ready = client.connect().then(async () => {
      await client.query(prologue);
      if (channel !== 0) return;
      await client.query(`LISTEN ${listen}`).catch((error: unknown) => {
        if ((error as { code?: unknown }).code !== READ_ONLY) throw error;
      });
    });
    link.ready.catch(() => drop(channel, link));
    return (links[channel] = link);
  }

  async function run(order: Order): Promise<void> {
    const { channel, place } = order;
    let link: Link | undefined;
    let isConnected = false;
    try {
      const current = begun[channel];
      if (place !== undefined && place.role !== 'begin') {
        // On a new connection it would be a transaction of its own: a commit would seem to succeed.
        if (current?.transaction !== place.transaction || current.link !== links[channel]) {
          isConnected = true;
          throw Object.assign(new Error('the transaction was lost with its connection'), { code: '08003' });
        }
        if (place.role === 'end') begun[channel] = undefined;
      }
      link = links[channel] ?? connect(channel);
      if (place?.role === 'begin') begun[channel] = { transaction: place.transaction, link };
      await link.ready;
      isConnected = true;
      const { text, values, name } = order;
      const parameters = values?.map((value) =>
        value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.length) : value,
      );
      const raw = { getTypeParser: () => (value: unknown) => value };
      const result = await link.client.query(
        parameters === undefined
          ? { text, rowMode: 'array', types: raw }
          : { text, values: parameters, name, rowMode: 'array', types: raw },
      );
      answered[channel] = order.id;
      send(0, encode(order.id, Array.isArray(result) ? result.at(-1)! : result));
    } catch (error) {
      const { message, code, detail, schema, table } = error as Error & Record<string, unknown>;
      // What the server did not say, or said as its last word, is the connection's end, though that may not have been noticed yet.
      const isOfStatement = typeof code === 'string' && /^(?!08|57P|E)[0-9A-Z]{5}$/.test(code);
      if (link !== undefined && !isOfStatement) drop(channel, link);
      answered[channel] = order.id;
      const told = { message, code, detail, schema, table, isConnected };
      const head = Buffer.alloc(4);
      head.writeUInt32LE(order.id);
      send(1, Buffer.concat([head, Buffer.from(JSON.stringify(told))]));
    }
  }

  function encode(id: number, { rows, fields }: Result): Buffer {
    const isBytes = fields.map((field) => field.dataTypeID === BYTEA);
    const sizes: number[] = [];
    let total = 8;
    for (const row of rows) {
      for (let column = 0; column < row.length; column++) {
        const cell = row[column];
        const size =
          cell === null || cell === undefined
            ? 0
            : isBytes[column]
              ? (cell.length - 2) / 2
              : Buffer.byteLength(cell);
        sizes.push(size);
        total += 4 + size;
      }
    }
    const bytes = Buffer.allocUnsafe(total);
    bytes.writeUInt32LE(id, 0);
    bytes.writeUInt32LE(fields.length, 4);
    let at = 8;
    let place = 0;
    for (const row of rows) {
      for (let column = 0; column < row.length; column++) {
        const cell = row[column];
        const size = sizes[place++]!;
        bytes.writeUInt32LE(cell === null || cell === undefined ? NULL : size, at);
        at += 4;
        if (typeof cell !== 'string') continue;
        if (isBytes[column]) bytes.write(cell.slice(2), at, 'hex');
        else bytes.write(cell, at, 'utf8');
        at += size;
      }
    }
    return bytes;
  }

  onMessage((message) => {
    const order = message as Order | GiveUp;
    const { channel } = order;
    if ('givenUp' in order) {
      const link = links[channel];
      if (link !== undefined && (answered[channel] ?? 0) < order.givenUp) drop(channel, link);
      return;
    }
    // In turn: who is told of an error has not had the next statement sent meanwhile.
    queues[channel] = (queues[channel] ?? Promise.resolve()).then(() => run(order));
  });
}
