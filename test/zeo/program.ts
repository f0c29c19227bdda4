/** ZEO servers as processes of their own, which can be killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { nextPort } from './ports';
import { PATIENCE } from './until';

/** A port that nobody uses now, nor soon. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = nextPort();
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

/** A server process. */
export class ServerProcess {
  #child: ChildProcess | undefined;

  constructor(
    readonly port: number,
    private readonly flags: readonly string[],
  ) {}

  /** Starts it, and resolves when it takes connections. */
  async start(): Promise<void> {
    const program = join(__dirname, '../live/zeo-server.cjs');
    const child = spawn(process.execPath, [program, '--port', String(this.port), ...this.flags], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.#child = child;
    const end = Date.now() + PATIENCE;
    while (!(await canConnect(this.port))) {
      if (child.exitCode !== null || Date.now() > end) throw new Error('the server did not start');
      await sleep(25);
    }
  }

  /** Ends it at once, and resolves when it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    const child = this.#child!;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    return new Promise((resolve) => {
      child.once('exit', (code) => resolve(code));
      child.kill(signal);
    });
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
