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

/** How large the evidence is: `ZODB_SOAK`, 0 in the normal test run. */
export const soak = Number(process.env.ZODB_SOAK ?? 0);
