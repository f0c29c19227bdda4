import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory that is removed after the test. */
export function temporaryDirectory(): () => string {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'zodb-sqlite-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  return () => directory;
}

/** How large the evidence is: 0 in the normal test run, 1 for `npm run soak` (`ZODB_SOAK=20`). */
export const soak = Number(process.env.ZODB_SOAK ?? 0) / 20;
