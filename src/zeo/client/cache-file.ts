import * as fs from 'node:fs';
import { ZERO_TID, type Tid } from '../../ids';
import { ClientCacheError } from '../errors';
import { FileMedium, MemoryMedium } from './cache-medium';
import { CacheState, readCacheState, type KnownState } from './cache-state';
import { RecordCache } from './record-cache';

/** The smallest cache that makes sense, in bytes. */
const SMALLEST = 4096;

/** A cache in memory of `size` bytes. */
export function openMemoryCache(size: number): RecordCache {
  const whole = Math.max(size, SMALLEST);
  const cache = new RecordCache(new MemoryMedium(whole), whole);
  cache.format();
  return cache;
}

/** A cache in a file, with what guards it. */
export interface CacheFile {
  readonly cache: RecordCache;
  /** The file was there before, and what it held is used. */
  readonly reused: boolean;
  close(): void;
}

/**
 * Opens or makes a cache file. One that is no cache, is damaged, or was in use when the machine went down is kept as `.bad`, and
 * a new one begun. Throws {@link ClientCacheError} while another process has it open.
 */
export function openCacheFile(path: string, size: number): CacheFile {
  const lock = takeLock(`${path}.lock`);
  try {
    return openLocked(path, Math.max(size, SMALLEST), lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function openLocked(path: string, size: number, lock: Lock): CacheFile {
  const statePath = `${path}.state`;
  const known = readCacheState(statePath);
  const there = fs.existsSync(path);
  const found = there && known.inOrder ? tryOpen(path, size, known) : undefined;
  if (found === undefined && there) fs.renameSync(path, `${path}.bad`);
  const { cache, medium } = found ?? create(path, size);
  const state = new CacheState(statePath, cache.lastTid, found !== undefined && known.hasForeign);
  medium.state = state;
  if (!found) cache.format();
  return {
    cache,
    reused: found !== undefined,
    close() {
      cache.sync();
      cache.close();
      state.close();
      lock.release();
    },
  };
}

interface Opened {
  readonly cache: RecordCache;
  readonly medium: FileMedium;
}

/** The cache in a file of the right size; `undefined` when it can't be used. */
function tryOpen(path: string, size: number, known: KnownState): Opened | undefined {
  const descriptor = fs.openSync(path, 'r+');
  if (fs.fstatSync(descriptor).size === size) {
    const medium = new FileMedium(descriptor);
    const cache = new RecordCache(medium, size);
    const written = known.hasForeign ? 'perhaps by Python' : 'by us';
    if (cache.scan(written) && isBelievable(cache, known.lastTid)) return { cache, medium };
  }
  fs.closeSync(descriptor);
  return undefined;
}

/** A last tid that is too small only means that more is asked for; one that is too great would hide what changed before it. */
function isBelievable(cache: RecordCache, atMost: Tid | undefined): boolean {
  // Nothing is asked for about a cache that knows of no transaction.
  if (cache.lastTid === ZERO_TID) return cache.statistics.records === 0;
  return atMost === undefined || cache.lastTid <= atMost;
}

function create(path: string, size: number): Opened {
  const descriptor = fs.openSync(path, 'wx+', 0o600);
  fs.ftruncateSync(descriptor, size);
  const medium = new FileMedium(descriptor);
  return { cache: new RecordCache(medium, size), medium };
}

interface Lock {
  release(): void;
}

/** A file that names the process which uses the cache. One left by a process that is no more is taken over. */
function takeLock(path: string): Lock {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      // A link is made whole or not at all: nobody can read it before the process is named in it.
      const own = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
      fs.writeFileSync(own, `${process.pid} ${processStart(process.pid)}\n`, { mode: 0o600 });
      try {
        fs.linkSync(own, path);
      } finally {
        fs.rmSync(own);
      }
      return { release: () => fs.rmSync(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      removeIfStale(path);
    }
  }
  const owner = readLock(path)?.pid;
  throw new ClientCacheError(
    `Another process${owner === undefined ? '' : ` (${owner})`} uses this client cache: ${path}. Give each process a cache of its own.`,
  );
}

function removeIfStale(path: string): void {
  const owner = readLock(path);
  if (owner === undefined) return;
  // A number is used again after a while; the moment of its process's start is not.
  if (isAlive(owner.pid) && processStart(owner.pid) === owner.start) return;
  const taken = `${path}.stale.${process.pid}`;
  try {
    // Whoever renames it removes it; a new lock that came in between goes back.
    fs.renameSync(path, taken);
    const now = readLock(taken);
    if (now?.pid !== owner.pid || now.start !== owner.start) fs.linkSync(taken, path);
    fs.rmSync(taken, { force: true });
  } catch {
    // Another process was faster; the next attempt sees its lock.
  }
}

function readLock(path: string): { pid: number; start: string } | undefined {
  try {
    const [pid, start] = fs.readFileSync(path, 'utf8').trim().split(' ');
    return { pid: Number(pid), start: start ?? '' };
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** When a process began, in ticks since the machine did; empty where that can't be told. */
function processStart(pid: number): string {
  try {
    return fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[19]!;
  } catch {
    return '';
  }
}
