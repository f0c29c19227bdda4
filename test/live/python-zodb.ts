/**
 * Python's ZODB as a partner in tests. It is looked for with `PYTHON` (default `/usr/bin/python3`), which must find `ZODB` and what
 * that needs (`persistent`, `BTrees`, `transaction`, `zodbpickle`, `ZConfig`, `zope.deferredimport`, `zdaemon`, `zc.lockfile`)
 * on its `PYTHONPATH`: checkouts of the repositories of the zopefoundation will do.
 */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import * as path from 'node:path';
import * as readline from 'node:readline';

export const python = process.env.PYTHON ?? '/usr/bin/python3';
export const script = path.join(__dirname, 'filestorage.py');

/** Why Python's ZODB can't be used here, in one line; `undefined` when it can. */
export function missingZodb(modules = 'ZODB.FileStorage, ZODB.DB, zc.lockfile'): string | undefined {
  const { error, status, stderr } = spawnSync(python, ['-c', `import ${modules}`], { encoding: 'utf8' });
  if (error !== undefined) return `${python}: ${error.message}`;
  return status === 0 ? undefined : `${python} has not ${modules}: ${stderr.trim().split('\n').at(-1)}`;
}

/** A Python process that takes commands of `filestorage.py`. */
export class PythonZodb {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #answers: ((line: string) => void)[] = [];

  constructor() {
    this.#process = spawn(python, [script, 'serve']);
    readline.createInterface(this.#process.stdout).on('line', (line) => this.#answers.shift()?.(line));
  }

  /** Calls a function of the script. Throws what it throws. */
  async call<Answer>(name: string, ...args: (string | undefined)[]): Promise<Answer> {
    const line = await new Promise<string>((resolve, reject) => {
      this.#process.once('exit', (code) => reject(new Error(`Python ended with ${code}`)));
      this.#answers.push(resolve);
      this.#process.stdin.write(`${JSON.stringify([name, ...args])}\n`);
    });
    this.#process.removeAllListeners('exit');
    const answer = JSON.parse(line) as { ok: Answer } | { error: string };
    if ('error' in answer) throw new Error(answer.error);
    return answer.ok;
  }

  end(): void {
    this.#process.stdin.end();
  }
}
