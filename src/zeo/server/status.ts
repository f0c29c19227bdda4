import { formatTid } from '../../ids';
import { WireFloat, type WireValue } from '../wire/values';
import type { HostedStorage } from './hosted-storage';

/** Counters and state of a storage, by the names of Python's `server_status`. */
export interface StorageStatus {
  readonly connections: number;
  readonly loads: number;
  readonly stores: number;
  readonly commits: number;
  readonly aborts: number;
  readonly active_txns: number;
  /** Seconds since 1970 at which the present holder of the commit lock got it. */
  readonly lock_time: number | null;
  readonly conflicts: number;
  readonly conflicts_resolved: number;
  readonly start: string;
  readonly waiting: number;
  readonly 'timeout-thread-is-alive': boolean | 'stub';
  readonly 'last-transaction': string;
}

/** Reads the counters. `started` is when the server did. */
export function storageStatus(hosted: HostedStorage, started: Date, hasTimeout: boolean): StorageStatus {
  const { stats, commits } = hosted;
  return {
    connections: hosted.clients.size,
    loads: stats.loads,
    stores: stats.stores,
    commits: stats.commits,
    aborts: stats.aborts,
    active_txns: stats.activeTransactions,
    lock_time: commits.since === undefined ? null : commits.since / 1000,
    conflicts: stats.conflicts,
    conflicts_resolved: stats.conflictsResolved,
    start: ctime(started),
    waiting: commits.waiting,
    'timeout-thread-is-alive': hasTimeout ? true : 'stub',
    'last-transaction': formatTid(hosted.storage.lastTransaction()).slice(2),
  };
}

/** The same for the wire. */
export function statusToWire(status: StorageStatus): WireValue {
  const { lock_time } = status;
  return { ...status, lock_time: lock_time === null ? null : new WireFloat(lock_time) };
}

const HELP: Partial<Record<keyof StorageStatus, [type: 'counter' | 'gauge', help: string]>> = {
  connections: ['gauge', 'Clients that are connected.'],
  loads: ['counter', 'Records loaded.'],
  stores: ['counter', 'Records given to be stored.'],
  commits: ['counter', 'Transactions committed.'],
  aborts: ['counter', 'Transactions aborted.'],
  active_txns: ['gauge', 'Transactions under way.'],
  conflicts: ['counter', 'Conflicts met.'],
  conflicts_resolved: ['counter', 'Conflicts merged by the server.'],
  waiting: ['gauge', 'Transactions that wait for their turn to commit.'],
};

/** All storages in the text format of Prometheus. */
export function prometheusText(statuses: ReadonlyMap<string, StorageStatus>): string {
  const lines: string[] = [];
  for (const [field, [type, help]] of Object.entries(HELP) as [keyof StorageStatus, [string, string]][]) {
    const name = `zeo_${field}${type === 'counter' ? '_total' : ''}`;
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [id, status] of statuses) lines.push(`${name}{storage="${escapeLabel(id)}"} ${status[field]}`);
  }
  const locked = 'zeo_commit_lock_held_seconds';
  lines.push(`# HELP ${locked} How long the present commit has held the lock.`, `# TYPE ${locked} gauge`);
  for (const [id, { lock_time }] of statuses) {
    const seconds = lock_time === null ? 0 : Math.max(0, Date.now() / 1000 - lock_time);
    lines.push(`${locked}{storage="${escapeLabel(id)}"} ${seconds}`);
  }
  return `${lines.join('\n')}\n`;
}

function escapeLabel(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}

/** `Sat Nov 21 19:45:35 2026`, in local time. */
function ctime(date: Date): string {
  const [weekday, month, day, year, time] = date.toString().split(' ');
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`;
}
