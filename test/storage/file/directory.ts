/** A temporary directory with names for new files in it. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

export class TemporaryDirectory {
  readonly path = fs.mkdtempSync(path.join(os.tmpdir(), 'zodb-test-'));
  #count = 0;

  /** A path that nothing has. */
  file(name = 'Data.fs'): string {
    const folder = path.join(this.path, String(this.#count++));
    fs.mkdirSync(folder);
    return path.join(folder, name);
  }

  remove(): void {
    fs.rmSync(this.path, { recursive: true, force: true });
  }
}
