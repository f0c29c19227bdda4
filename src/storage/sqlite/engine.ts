import { statSync } from 'node:fs';
import { ClosedError } from '../../errors';
import type { StorageHost } from '../interfaces';
import { ChangeLog } from './change-log';
import { Checkpoints } from './checkpoints';
import { checkIdentity, fileIdentity, Handle, type FileIdentity } from './handle';
import type { HistoryMode, ResolvedOptions } from './options';
import { readMeta } from './schema';
import { Tids } from './tids';

/** How often the file is looked for under its name, in milliseconds. */
const IDENTITY_INTERVAL = 1_000;

/** What the parts of a SQLite storage share: the file, the handle that writes, and what is known of the commits. */
export class Engine {
  readonly path: string;
  readonly options: ResolvedOptions;
  /** Commits. Between vote and finish it shows what is not committed yet: only a commit reads through it. */
  readonly writer: Handle;
  /** Reads what is committed now, and watches for the commits of others. */
  readonly reader: Handle;
  readonly tids: Tids;
  readonly log: ChangeLog;
  readonly checkpoints: Checkpoints;
  readonly identity: FileIdentity;
  host: StorageHost | undefined;
  /** Kept by the file; another process may change it. */
  history: HistoryMode;
  // Set anew in the constructor: see SqliteInstance.
  isClosed = true;
  /** The handle through which a commit of this thread holds the write lock. */
  writing: Handle | undefined;
  #checkedAt = performance.now();
  readonly #spare: Handle[] = [];
  readonly #spareForConnections: Handle[] = [];
  /** Handles in use: a walk that was not finished, a blob that is open. They end with the storage. */
  readonly #lent = new Set<Handle>();

  constructor(path: string, options: ResolvedOptions, writer: Handle) {
    this.path = path;
    this.options = options;
    this.writer = writer;
    if (!options.readOnly) writer.dontWait();
    this.checkpoints = new Checkpoints(writer, options);
    this.identity = fileIdentity(path)!;
    this.reader = options.readOnly ? writer : this.#openReader();
    this.tids = new Tids(this.reader);
    this.log = new ChangeLog(this.reader, this.tids, () => this.host);
    this.history = parseHistory(readMeta(writer, 'history'));
    this.isClosed = false;
  }

  /** A handle for reading, perhaps one that was given back. */
  readHandle(): Handle {
    const handle = this.#spare.pop() ?? this.#openReader();
    this.#lent.add(handle);
    return handle;
  }

  /** A handle for a connection, which reads and, where it may, commits through it. */
  connectionHandle(): Handle {
    if (this.options.readOnly) return this.readHandle();
    const handle = this.#spareForConnections.pop() ?? this.#openWriter();
    this.#lent.add(handle);
    return handle;
  }

  #openReader(): Handle {
    checkIdentity(this.path, this.identity);
    return new Handle(this.path, { readOnly: true, mustExist: true, pageCache: this.options.pageCache });
  }

  /** A second handle that may write: packing must not see what a commit under way has not committed. */
  writeHandle(): Handle {
    const handle = this.#openWriter();
    handle.dontWait();
    // Often and little: copying a thousand pages back at once would be a pause of its own.
    handle.pragma('wal_autocheckpoint=200');
    this.#lent.add(handle);
    return handle;
  }

  #openWriter(): Handle {
    checkIdentity(this.path, this.identity);
    const handle = new Handle(this.path, {
      readOnly: false,
      mustExist: true,
      pageCache: this.options.pageCache,
    });
    prepareToWrite(handle, this.options);
    return handle;
  }

  /** Closes a handle that {@link writeHandle} opened. */
  closeHandle(handle: Handle): void {
    this.#lent.delete(handle);
    handle.close();
  }

  /** Takes back a handle for reading, out of any transaction. */
  giveBack(handle: Handle): void {
    this.#keep(handle, this.#spare);
  }

  /** Takes back what {@link connectionHandle} gave, out of any transaction. */
  giveBackConnection(handle: Handle): void {
    this.#keep(handle, this.options.readOnly ? this.#spare : this.#spareForConnections);
  }

  #keep(handle: Handle, spare: Handle[]): void {
    this.#lent.delete(handle);
    if (this.isClosed || spare.length >= 4) handle.close();
    else spare.push(handle);
  }

  /** Notices the commits of others and, now and then, that the file is not the one it was. */
  refresh(): void {
    this.checkPlace();
    this.log.refresh();
  }

  /** Notices, now and then, that the file is not the one it was. */
  checkPlace(): void {
    const now = performance.now();
    if (now - this.#checkedAt <= IDENTITY_INTERVAL) return;
    checkIdentity(this.path, this.identity);
    this.#checkedAt = now;
  }

  /** Bytes of the write-ahead log. */
  walSize(): number {
    return statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Whether everything that was current at commit `seq` is still there. Read through `handle`. */
  isComplete(handle: Handle, seq: number): boolean {
    this.history = parseHistory(readMeta(handle, 'history'));
    if (this.history === 'none') return false;
    return seq >= Number(readMeta(handle, 'packed') ?? 0);
  }

  checkOpen(): void {
    if (this.isClosed) throw new ClosedError(`The storage ${this.path} is closed.`);
  }

  close(): void {
    this.isClosed = true;
    this.checkpoints.space.close();
    for (const handle of [...this.#spare.splice(0), ...this.#spareForConnections.splice(0), ...this.#lent]) {
      handle.close();
    }
    this.reader.close();
    this.writer.close();
  }
}

/** Sets what a handle that writes must know: SQLite keeps it for each connection, not in the file. */
export function prepareToWrite(handle: Handle, options: ResolvedOptions): void {
  // In WAL mode these builds of SQLite would not wait for the disk.
  handle.pragma(`synchronous=${options.durability === 'full' ? 'FULL' : 'NORMAL'}`);
  handle.pragma(`journal_size_limit=${Math.floor(options.walLimit)}`);
  // See checkpoints.ts.
  handle.pragma('wal_autocheckpoint=0');
  if (options.maxPages !== undefined) handle.pragma(`max_page_count=${Math.floor(options.maxPages)}`);
}

/** The `meta` value of a history mode. */
export function formatHistory(history: HistoryMode): string {
  return typeof history === 'string' ? history : `days:${history.days}`;
}

/** The history mode of a `meta` value. */
export function parseHistory(value: number | string | undefined): HistoryMode {
  if (value === 'none') return 'none';
  if (typeof value === 'string' && value.startsWith('days:')) return { days: Number(value.slice(5)) };
  return 'all';
}
