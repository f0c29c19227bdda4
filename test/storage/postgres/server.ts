import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Where PostgreSQL's programs are: in the folder that the environment variable names, in the PATH, or where Debian puts them. */
function programs(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).map((name) => join(debian, name, 'bin')) : [];
  const folders = [process.env.POSTGRES_BIN, ...(process.env.PATH ?? '').split(':'), ...versions];
  const names = ['initdb', 'pg_ctl', 'postgres', 'psql'];
  return folders.find((folder) => folder && names.every((name) => existsSync(join(folder, name))));
}

/** A PostgreSQL server of this test file's own; it listens on a socket in its own directory, and in no network. */
export class PostgresServer {
  /** Whether PostgreSQL is here; says so in one line if not. */
  static readonly isHere = ((): boolean => {
    if (programs() !== undefined) return true;
    process.stderr.write(
      'PostgreSQL is not installed here: its tests are left out (POSTGRES_BIN names the folder of initdb).\n',
    );
    return false;
  })();

  readonly directory = mkdtempSync(join(tmpdir(), 'zodb-postgres-'));
  readonly #bin = programs()!;
  readonly #data = join(this.directory, 'data');
  #count = 0;

  /**
   * @param durable whether it waits for the disk, as a server does that must survive a power cut
   * @param copyOf the data of another one, which is stopped: this becomes a standby of it, as it is now
   */
  constructor(
    private readonly durable = false,
    copyOf?: string,
  ) {
    if (copyOf !== undefined) {
      cpSync(copyOf, this.#data, { recursive: true });
      writeFileSync(join(this.#data, 'standby.signal'), '');
    }
    if (isRoot()) execFileSync('chown', ['-R', 'nobody', this.directory]);
    if (copyOf === undefined)
      this.#run('initdb', ['-D', this.#data, '-U', 'zodb', '-A', 'trust', '-E', 'UTF8', '--locale=C']);
    this.start();
  }

  /** A standby server with what is stored now. */
  standby(): PostgresServer {
    this.stop('fast');
    try {
      return new PostgresServer(false, this.#data);
    } finally {
      this.start();
    }
  }

  start(): void {
    const options = `-k '${this.directory}' -c listen_addresses='' -c max_connections=200 -c shared_buffers=32MB -c fsync=${this.durable ? 'on' : 'off'}`;
    this.#run('pg_ctl', [
      '-D',
      this.#data,
      '-o',
      options,
      '-l',
      join(this.directory, 'log'),
      '-w',
      '-t',
      '120',
      'start',
    ]);
  }

  stop(mode: 'fast' | 'immediate' = 'immediate'): void {
    this.#run('pg_ctl', ['-D', this.#data, '-m', mode, '-w', '-t', '120', 'stop']);
  }

  /** A URL of the server's one database, with a schema that nobody else has. */
  newUrl(): string {
    return `${this.url}&schema=test_${++this.#count}`;
  }

  get url(): string {
    return `postgres:///postgres?user=zodb&host=${encodeURIComponent(this.directory)}`;
  }

  /** Runs SQL beside the storage. */
  sql(text: string): string {
    return this.#run('psql', ['-h', this.directory, '-U', 'zodb', '-d', 'postgres', '-AtXc', text]).trim();
  }

  /** Runs SQL in a process of its own, while this one goes on. */
  sqlBeside(text: string): { said(line: string): Promise<void>; readonly ended: Promise<unknown> } {
    const args = ['-h', this.directory, '-U', 'zodb', '-d', 'postgres', '-AtX'];
    const child = spawn(join(this.#bin, 'psql'), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(text);
    const ended = once(child, 'close');
    const lines = createInterface({ input: child.stdout });
    return {
      ended,
      said: (line) =>
        new Promise((found) => {
          lines.on('line', (said) => said === line && found());
        }),
    };
  }

  remove(): void {
    this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** PostgreSQL refuses to be run by root. */
  #run(program: string, args: string[]): string {
    const path = join(this.#bin, program);
    const [command, all] = isRoot()
      ? ['setpriv', ['--reuid=nobody', '--clear-groups', path, ...args]]
      : [path, args];
    const { status, stdout, stderr, error } = spawnSync(command, all, {
      cwd: this.directory,
      encoding: 'utf8',
      // A server that goes on must not hold the pipes open.
      stdio: program === 'pg_ctl' ? 'ignore' : 'pipe',
    });
    if (error) throw error;
    if (status !== 0) throw new Error(`${program} failed: ${stdout ?? ''}${stderr ?? ''}`);
    return stdout ?? '';
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
