import type { Tid } from '../ids';
import type { CacheBudget } from '../persistence/index';
import type { StorageInstance } from '../storage/index';
import type { DB } from './db';
import type { Session } from './session';

/** How a connection is made. */
export interface ConnectionParts {
  readonly db: DB;
  readonly storage: StorageInstance;
  /** For a connection into the past: it sees what was committed before this tid. */
  readonly before: Tid | undefined;
  readonly cacheSize: number;
  readonly budget: CacheBudget | undefined;
}

/** How a connection is handed out. */
export interface Lending {
  /** It ends with the transaction under way. */
  readonly lent?: boolean;
  /** The connection that brings this one along. */
  readonly primary?: Session;
}

/** When and where a connection was opened. Kept apart from it, to tell of one that was lost. */
export interface Opening {
  at: Date | undefined;
  /** Where, if the database traces it. */
  where: string | undefined;
  /** It came along with another one. */
  secondary: boolean;
}
