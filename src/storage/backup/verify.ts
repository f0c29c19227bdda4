import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { refuseUnknownOptions } from '../../errors';
import type { Steps } from '../steps';
import { readBackup } from './byte-copy';
import { readRepository, type BackupFile } from './repository';

/** Options of {@link verifyBackup}. */
export interface VerifyOptions {
  /** Look at the lengths of files that are not compressed instead of reading them. Default false. */
  readonly quick?: boolean;
}

/** What {@link verifyBackup} found. */
export interface VerifyReport {
  readonly files: number;
  readonly bytes: number;
  /** Sentences, each naming a file; empty when all is well. */
  readonly problems: readonly string[];
}

/** Compares every file of a repository with its `.dat` line. */
export function* verifyBackup(repository: string, options: VerifyOptions = {}): Steps<VerifyReport> {
  refuseUnknownOptions('verifyBackup()', options, ['quick']);
  const { quick = false } = options;
  const problems: string[] = [];
  let files = 0;
  let bytes = 0;
  for (const chain of readRepository(repository)) {
    let position = 0;
    for (const file of chain.files) {
      files++;
      if (file.md5 === '') {
        problems.push(`${file.path} is not listed in ${chain.dat}: its backup was interrupted at the end.`);
        continue;
      }
      if (file.start !== position) problems.push(`A backup is missing before ${file.path}.`);
      position = file.end;
      const problem = quick ? lengthProblem(file) : contentProblem(file);
      if (problem !== undefined) problems.push(problem);
      bytes += file.end - file.start;
      yield { phase: 'verify', done: files, total: undefined };
    }
  }
  return { files, bytes, problems };
}

function lengthProblem(file: BackupFile): string | undefined {
  if (file.isCompressed || fs.statSync(file.path).size === file.end - file.start) return undefined;
  return `${file.path} has ${fs.statSync(file.path).size} bytes instead of ${file.end - file.start}.`;
}

function contentProblem(file: BackupFile): string | undefined {
  const hash = createHash('md5');
  let length = 0;
  try {
    for (const chunk of readBackup(file)) {
      hash.update(chunk);
      length += chunk.length;
    }
  } catch (error) {
    return (error as Error).message;
  }
  if (length !== file.end - file.start)
    return `${file.path} holds ${length} bytes instead of ${file.end - file.start}.`;
  return hash.digest('hex') === file.md5
    ? undefined
    : `${file.path} is not what was backed up: its checksum differs.`;
}
