import { distance } from 'fastest-levenshtein';
import { InvalidArgumentError } from '../errors';
import type { Registry } from '../persistence/index';
import type { DB } from './db';

/** Makes the first value of a key of the root. */
export type RootFactories = Readonly<Record<string, () => unknown>>;

/** The root that {@link RootFactories} makes: `{ accounts: () => new OOBTree() }` gives `{ accounts: OOBTree }`. */
export type RootOf<F extends RootFactories> = { -readonly [K in keyof F]: ReturnType<F[K]> };

/** Options of a {@link DB}. Those a storage understands (`durability`, `history`, `blobs`, …) go to it. */
export interface DBOptions<F extends RootFactories = RootFactories> {
  /** What the root must hold: each key that is missing is made once, whoever opens first. */
  readonly root?: F;
  /** Which classes this database knows. Default: the one registry of the process. */
  readonly registry?: Registry;
  /** Connections kept ready; more can be open, with a warning. Default 7. */
  readonly poolSize?: number;
  /** Free connections idle for longer are closed, in milliseconds. Default: never. */
  readonly poolTimeout?: number;
  /** How long an asynchronous transaction waits for a connection, in milliseconds. Default 30,000. */
  readonly poolWait?: number;
  /** Objects that a connection keeps loaded across transactions. Default 10,000. */
  readonly cacheSize?: number;
  /** Bytes that the connections of this database keep loaded, together; 0 = no limit. Default 128 MiB. */
  readonly cacheSizeBytes?: number;
  /** The same three for connections into the past. Defaults 3, 1,000 and 300,000 ms. */
  readonly historicalPoolSize?: number;
  readonly historicalCacheSize?: number;
  readonly historicalTimeout?: number;
  /** Records of this many bytes and more are warned of. Default 16 MiB. */
  readonly largeRecordSize?: number;
  /**
   * So many references followed through one field in one transaction, each with a load of its own, are warned of, with
   * the class and the field. 0: never. Default 100.
   */
  readonly singleLoadWarning?: number;
  /**
   * Remembers where each connection was opened, for {@link DB.connectionDebugInfo} and for reports of connections that
   * were never closed. Costs some µs an opening. Default false.
   */
  readonly traceConnections?: boolean;
  /** Name within a multi-database. Default `'unnamed'`. */
  readonly databaseName?: string;
  /** The multi-database this one joins: name → DB, shared by its members. */
  readonly databases?: Record<string, DB>;
  /** Whether objects may refer to those of sibling databases without ado. Default true. */
  readonly crossReferences?: boolean;
  /** How often {@link DB.transaction} tries. Default 3. */
  readonly attempts?: number;
}

/** {@link DBOptions} with everything filled in. */
export type Settings = Required<Omit<DBOptions, 'root' | 'registry' | 'databases'>> & {
  readonly root: RootFactories;
};

const DEFAULTS: Settings = {
  root: {},
  poolSize: 7,
  poolTimeout: Infinity,
  poolWait: 30_000,
  cacheSize: 10_000,
  cacheSizeBytes: 128 * 2 ** 20,
  historicalPoolSize: 3,
  historicalCacheSize: 1_000,
  historicalTimeout: 300_000,
  largeRecordSize: 16 * 2 ** 20,
  singleLoadWarning: 100,
  traceConnections: false,
  databaseName: 'unnamed',
  crossReferences: true,
  attempts: 3,
};

const OWN_OPTIONS = new Set([...Object.keys(DEFAULTS), 'registry', 'databases']);

/**
 * What a DB is made with. A place that is given, but `undefined`, is refused: a program that means to keep its data must not work in
 * memory because a variable of its environment is not set.
 */
export function splitArguments<Where, Options extends object>(
  args: [where?: Where, options?: Options],
): {
  where: Where | undefined;
  options: Partial<Options>;
  settings: Settings;
  rest: Record<string, unknown>;
} {
  const [where, options = {}] = args;
  if (args.length > 0 && where === undefined) {
    throw new InvalidArgumentError(
      'The place of the database is undefined: is an environment variable not set? A path, a URI or a storage is wanted; ' +
        'new DB() and new DB(null) are databases in memory, which end with the program.',
    );
  }
  return { where, options, ...splitOptions(options as Record<string, unknown>) };
}

/** Takes the DB's own options out of `options`; the rest is for the storage, which names what it doesn't know. */
function splitOptions(options: Record<string, unknown>): {
  settings: Settings;
  rest: Record<string, unknown>;
} {
  const own: Record<string, unknown> = {};
  const rest: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (OWN_OPTIONS.has(name)) own[name] = value;
    else rest[refuseMisspelt(name)] = value;
  }
  const settings = { ...DEFAULTS, ...own } as Settings;
  for (const [name, value] of Object.entries(DEFAULTS)) checkOption(name, own[name], value);
  return { settings, rest };
}

/** The storage names the options it doesn't know; what is nearly one of the DB's is named here. */
function refuseMisspelt(name: string): string {
  const meant = [...OWN_OPTIONS].find((known) => distance(known, name) <= 2);
  if (meant)
    throw new InvalidArgumentError(`There is no option ${JSON.stringify(name)}; did you mean ${meant}?`);
  return name;
}

const ARTICLES: Readonly<Record<string, string>> = { object: 'an' };

function checkOption(name: string, given: unknown, standard: unknown): void {
  if (given === undefined) return;
  if (typeof given !== typeof standard) {
    throw new InvalidArgumentError(
      `The option ${name} must be ${ARTICLES[typeof standard] ?? 'a'} ${typeof standard}, not ${describe(given)}.`,
    );
  }
  if (typeof given === 'number' && !(given >= (name === 'attempts' || name === 'poolSize' ? 1 : 0))) {
    throw new InvalidArgumentError(`The option ${name} is out of range: ${given}.`);
  }
}

function describe(value: unknown): string {
  return value === null
    ? 'null'
    : typeof value === 'object'
      ? 'an object'
      : `${typeof value} ${String(value)}`;
}
