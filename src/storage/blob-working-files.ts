/**
 * Names of files that hold blob contents not yet committed. The name says which process of which machine made it, so that what a
 * crash left behind can be told from what a living program works on, also in a directory that several share.
 */
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

/** Python's prefix for such files. */
const PREFIX = 'BUC';
const PATTERN = /^BUC-([0-9a-f]{8})-(\d+)-[0-9a-f]+\.tmp$/;

const host = createHash('sha1').update(os.hostname()).digest('hex').slice(0, 8);

/** A path in `directory` that no file has. */
export function newWorkingFile(directory: string): string {
  return path.join(directory, `${PREFIX}-${host}-${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
}

/** Removes what processes of this machine that are no more left in `directory`; the number of files. */
export function sweepWorkingFiles(directory: string): number {
  let names: string[];
  try {
    names = fs.readdirSync(directory);
  } catch {
    return 0;
  }
  let removed = 0;
  for (const name of names) {
    const match = PATTERN.exec(name);
    if (match === null || match[1] !== host || isAlive(Number(match[2]))) continue;
    fs.rmSync(path.join(directory, name), { force: true, recursive: true });
    removed++;
  }
  return removed;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
