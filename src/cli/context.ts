import type { Colors } from 'picocolors/types';
import { resolveConflict } from '../conflict/index';
import { InvalidArgumentError } from '../errors';
import { registry } from '../persistence/index';
import { references } from '../record/index';
import { isMadeWhenMissing, openStorage, type Storage } from '../storage/index';
// Makes zeo: URIs work.
import '../zeo-on-demand';

/** Exit codes of the command. */
export const EXIT = {
  /** Done. */
  ok: 0,
  /** It could not be done; the error says why. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** `check` found problems. */
  problems: 3,
} as const;

/** What commands are given beside their arguments. */
export interface Context {
  readonly json: boolean;
  readonly progress: boolean;
  readonly colors: Colors;
  /** Columns of the terminal that shows results, where one does. */
  readonly width: number | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Set by a command that ran, and found something wrong. */
  exitCode: number;
}

/** How a command means to use a database. */
export type Access = 'read' | 'write' | 'make';

/** The database that is meant: the argument, else `ZODB_URL`. */
export function databaseUrl(given: string | undefined, env: NodeJS.ProcessEnv): string {
  const url = given ?? env.ZODB_URL;
  if (url !== undefined && url !== '') return url;
  throw new InvalidArgumentError(
    'Which database? Give a path or a URI as the last argument, or set ZODB_URL.',
    {
      code: 'USAGE',
    },
  );
}

/** Runs `work` on a database and closes it. Commands never make a database by mistyping its name. */
export async function withStorage<Result>(
  url: string,
  access: Access,
  work: (storage: Storage) => Result | Promise<Result>,
): Promise<Result> {
  const storage = open(url, access);
  try {
    return await work(storage);
  } finally {
    storage.close();
  }
}

function open(url: string, access: Access): Storage {
  const options = { read: { readOnly: true }, write: { create: false }, make: {} }[access];
  const storage = openStorage(url, isMadeWhenMissing(url) ? options : {});
  storage.registerDB({
    invalidate: () => undefined,
    invalidateAll: () => undefined,
    resolveConflict: (conflict) => resolveConflict(registry, conflict),
    references,
  });
  return storage;
}
