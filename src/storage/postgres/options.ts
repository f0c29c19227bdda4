import { InvalidArgumentError, refuseUnknownOptions } from '../../errors';

/** Options of `PostgresStorage`. */
export interface PostgresStorageOptions {
  /** The PostgreSQL schema that holds the tables: several databases of objects can share one of PostgreSQL's. Default `'zodb'`. */
  readonly schema?: string;
  /** Refuse every change. Default false. */
  readonly readOnly?: boolean;
  /** Make the schema and its tables when they are missing. Default true. */
  readonly create?: boolean;
  /** How long a commit waits for those of other programs, in milliseconds. Default 30,000. */
  readonly lockTimeout?: number;
  /** How long a call waits for the server to answer, in milliseconds. Default 60,000. */
  readonly callTimeout?: number;
}

/** {@link PostgresStorageOptions}, checked and complete. */
export type ResolvedOptions = Required<PostgresStorageOptions>;

const OPTION_NAMES = ['schema', 'readOnly', 'create', 'lockTimeout', 'callTimeout'];
/** Longer names are cut off by PostgreSQL, without a word. */
const LONGEST_NAME = 63;
/** The longest time that a timer of Node or PostgreSQL takes. */
export const LONGEST_WAIT = 2 ** 31 - 1;

/** Checks options, naming the first that is wrong. */
export function resolveOptions(options: PostgresStorageOptions): ResolvedOptions {
  refuseUnknownOptions('PostgreSQL storage', options, OPTION_NAMES);
  const { schema = 'zodb', readOnly = false, create = true } = options;
  if (
    typeof schema !== 'string' ||
    schema === '' ||
    schema.includes('\0') ||
    nameBytes(schema) > LONGEST_NAME
  ) {
    throw new InvalidArgumentError(
      `"schema" must be the name of a PostgreSQL schema, 1 to ${LONGEST_NAME} bytes, not ${JSON.stringify(schema)}.`,
    );
  }
  for (const [name, value] of Object.entries({ readOnly, create })) {
    if (typeof value !== 'boolean')
      throw new InvalidArgumentError(`"${name}" must be true or false, not ${String(value)}.`);
  }
  return {
    schema,
    readOnly,
    create,
    lockTimeout: wait('lockTimeout', options.lockTimeout ?? 30_000),
    callTimeout: wait('callTimeout', options.callTimeout ?? 60_000),
  };
}

function nameBytes(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

function wait(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= LONGEST_WAIT) return value;
  throw new InvalidArgumentError(
    `"${name}" must be 1 to ${LONGEST_WAIT} milliseconds, not ${String(value)}.`,
  );
}
