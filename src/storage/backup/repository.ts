/**
 * A directory of backups in the layout of `ZODB/src/ZODB/scripts/repozo.py`, so that both can read and continue what the other began.
 *
 * | file | content |
 * |---|---|
 * | `2026-11-21-19-37-23.fs` (`.fsz`: gzip) | a whole `Data.fs`, as of that moment (UTC) |
 * | `….deltafs` (`.deltafsz`) | the bytes by which it grew since the backup before |
 * | `….dat`, named after the whole one | a line for each of them: path, start, end, MD5 of its uncompressed bytes |
 * | `….index` | the `.index` file of the `Data.fs` that the backups up to this one make |
 * | `blobs/` | blobs, which repozo leaves out, in the bushy layout: those of all backups together |
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { FormatError, InvalidArgumentError } from '../../errors';
import { nodeFileSystem } from '../file/file-system';

/** Directory of the blobs within a repository. */
export const BLOBS = 'blobs';
const NAME = /^(\d{4})-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)\.(fs|fsz|deltafs|deltafsz)$/;

/** One backup file. */
export interface BackupFile {
  readonly path: string;
  /** When it was made, in milliseconds since 1970. */
  readonly time: number;
  readonly isFull: boolean;
  readonly isCompressed: boolean;
  /** The range of the `Data.fs` that it holds; -1 when the `.dat` file does not list it. */
  readonly start: number;
  readonly end: number;
  readonly md5: string;
}

/** A whole backup and its increments, oldest first. */
export interface BackupChain {
  readonly dat: string;
  readonly files: readonly BackupFile[];
}

/** All chains in a repository, oldest first. `InvalidArgumentError` when there is no such directory. */
export function readRepository(directory: string): BackupChain[] {
  let names: string[];
  try {
    names = fs.readdirSync(directory);
  } catch (cause) {
    throw new InvalidArgumentError(`${directory} is no directory of backups.`, { cause });
  }
  const chains: { dat: string; files: BackupFile[] }[] = [];
  let listed = new Map<string, Listed>();
  for (const name of names.filter((each) => NAME.test(each)).sort()) {
    const isFull = /\.fsz?$/.test(name);
    if (isFull) {
      const dat = path.join(directory, name.replace(/\.fsz?$/, '.dat'));
      listed = readDat(dat);
      chains.push({ dat, files: [] });
    }
    const file = {
      path: path.join(directory, name),
      time: timeOf(name),
      isFull,
      isCompressed: name.endsWith('z'),
    };
    chains.at(-1)?.files.push({ ...file, ...(listed.get(name) ?? { start: -1, end: -1, md5: '' }) });
  }
  return chains;
}

/** A name for a new backup file, later than all others. */
export function newName(directory: string, extension: string, now = Date.now()): string {
  const taken = fs.readdirSync(directory).map((name) => name.slice(0, 19));
  let time = Math.floor(now / 1000) * 1000;
  // Two within a second would be one; the clock may also have been set back.
  while (taken.some((name) => name >= stamp(time) && NAME.test(`${name}.fs`))) time += 1000;
  return path.join(directory, `${stamp(time)}.${extension}`);
}

/** The name of the `.index` file beside a backup file. */
export function indexOf(file: string): string {
  return file.replace(/\.(delta)?fsz?$/, '.index');
}

/** The name of the `.dat` file of a whole backup. */
export function datOf(file: string): string {
  return file.replace(/\.fsz?$/, '.dat');
}

/** Adds a line to a `.dat` file; a crash leaves the old or the new content. */
export function addToDat(dat: string, file: string, start: number, end: number, md5: string): void {
  const before = fs.existsSync(dat) ? fs.readFileSync(dat, 'utf8') : '';
  const temporary = `${dat}.part`;
  fs.writeFileSync(temporary, `${before}${file} ${start} ${end} ${md5}\n`);
  syncFile(temporary);
  fs.renameSync(temporary, dat);
  nodeFileSystem.syncDirectory(path.dirname(path.resolve(dat)));
}

/** Waits until a file is on disk. */
export function syncFile(file: string): void {
  const fd = fs.openSync(file, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

interface Listed {
  readonly start: number;
  readonly end: number;
  readonly md5: string;
}

function readDat(dat: string): Map<string, Listed> {
  const listed = new Map<string, Listed>();
  if (!fs.existsSync(dat)) return listed;
  for (const line of fs.readFileSync(dat, 'utf8').split('\n')) {
    if (line === '') continue;
    const match = /^(.*) (\d+) (\d+) ([0-9a-f]{32})$/.exec(line);
    if (match === null)
      throw new FormatError(`${dat} has a line that is none of repozo's: ${JSON.stringify(line)}.`);
    // The path is that of the machine it was made on; the repository may have moved.
    listed.set(path.basename(match[1]!), { start: Number(match[2]), end: Number(match[3]), md5: match[4]! });
  }
  return listed;
}

function timeOf(name: string): number {
  const [year, month, day, hour, minute, second] = NAME.exec(name)!.slice(1, 7).map(Number) as number[];
  return Date.UTC(year!, month! - 1, day, hour, minute, second);
}

function stamp(time: number): string {
  return new Date(time).toISOString().slice(0, 19).replace(/[T:]/g, '-');
}
