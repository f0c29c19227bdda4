import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { ROOT_OID } from '../../src/ids';
import { backupStorage, FileStorage, restoreBackup, runSteps, verifyBackup } from '../../src/storage';
import { TemporaryDirectory } from '../storage/file/directory';
import { put } from '../storage/file/commits';
import { mappingRecord } from '../storage/file/records';
import { missingZodb, python } from './python-zodb';

const missing = missingZodb('ZODB.scripts.repozo');

function repozo(...args: string[]): void {
  const { status, stderr } = spawnSync(python, ['-m', 'ZODB.scripts.repozo', ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

/** Names have seconds; repozo refuses to make two files of one name. */
const nextSecond = (): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, 1100 - (Date.now() % 1000)));

if (missing !== undefined) {
  it(`is not run: ${missing}`, () => expect(missing).toBeDefined());
} else {
  const directory = new TemporaryDirectory();
  afterAll(() => directory.remove());

  it.each([[], ['-z']])(
    'repozo and we continue, verify and restore the same repository %s',
    async (...flags) => {
      const repository = path.dirname(directory.file('x'));
      const storage = new FileStorage(directory.file());
      const options = { gzip: flags.length > 0 };
      for (let round = 0; round < 4; round++) {
        put(storage, ROOT_OID, mappingRecord(`round ${round}`));
        if (round % 2 === 0) runSteps(backupStorage(storage, repository, options));
        else repozo('-B', ...flags, '-r', repository, '-f', storage.name);
        await nextSecond();
      }
      expect(fs.readdirSync(repository).filter((name) => /\.deltafsz?$/.test(name)).length).toBe(3);
      repozo('-V', '-r', repository);
      expect(runSteps(verifyBackup(repository)).problems).toEqual([]);
      const [ours, theirs] = [directory.file(), directory.file()];
      runSteps(restoreBackup(repository, ours));
      repozo('-R', '-r', repository, '-o', theirs);
      const expected = fs.readFileSync(storage.name);
      expect(fs.readFileSync(ours).equals(expected)).toBe(true);
      expect(fs.readFileSync(theirs).equals(expected)).toBe(true);
      storage.close();
    },
  );
}
