/**
 * Several programs move money on one server, through a network that fails, while the server is killed and their caches are cut short.
 * The money stays the same in every snapshot that any of them sees, and each knows what it committed. `ZODB_SOAK` makes
 * it long: that many rounds of all faults.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientStorage } from '../../src/zeo';
import { ZERO_TID, type Oid } from '../../src/ids';
import { TransactionMetaData } from '../../src/storage';
import { record, textOf } from '../../src/testing';
import { FaultyProxy } from './faulty-proxy';
import { freePort, ServerProcess } from './program';
import { PATIENCE } from './until';

const scale = Number(process.env.ZODB_SOAK ?? 1);
const WRITERS = 3;
const ACCOUNTS = 6;
const TOTAL = ACCOUNTS * 100;
const directory = mkdtempSync(join(tmpdir(), 'zodb-zeo-faults-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Counts {
  readonly commits: number;
  readonly conflicts: number;
  readonly lost: number;
  readonly unknown: number;
  readonly snapshots: number;
  readonly sequence: number;
}
const NONE: Counts = { commits: 0, conflicts: 0, lost: 0, unknown: 0, snapshots: 0, sequence: 0 };

/** A program that writes. */
class Writer {
  counts = NONE;
  /** What it did before it was started again. */
  readonly before: Counts[] = [];
  wrong = '';
  readonly cachePath: string;
  #child: ChildProcess | undefined;
  #text = '';

  constructor(
    private readonly port: number,
    private readonly number: number,
  ) {
    this.cachePath = join(directory, `writer-${number}.zec`);
  }

  start(): void {
    const sequence = this.counts.sequence;
    if (this.counts !== NONE) this.before.push(this.counts);
    this.counts = { ...NONE, sequence };
    this.#text = '';
    const given = [this.port, this.cachePath, this.number, ACCOUNTS, TOTAL, sequence].map(String);
    const child = spawn(process.execPath, [join(__dirname, 'fault-writer.cjs'), ...given], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => void (this.wrong += text));
  }

  #read(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith('{')) this.counts = JSON.parse(line) as Counts;
      else this.wrong += `${line}\n`;
    }
  }

  async kill(): Promise<void> {
    const child = this.#child!;
    if (child.exitCode !== null || child.signalCode !== null) return;
    await new Promise((resolve) => {
      child.once('close', resolve);
      child.kill('SIGKILL');
    });
  }
}

describe('several writers, a server that is killed, and a network that fails', () => {
  let proxy: FaultyProxy;
  let server: ServerProcess;
  let forgetful: ServerProcess;
  let writers: Writer[];
  let running: ServerProcess;

  async function makeAccounts(): Promise<void> {
    const client = new ClientStorage(`127.0.0.1:${server.port}`, { waitTimeout: PATIENCE });
    const txn = new TransactionMetaData();
    client.tpcBegin(txn);
    for (let oid = 1; oid <= ACCOUNTS; oid++) client.store(oid as Oid, ZERO_TID, record('100'), txn);
    for (let number = 0; number < WRITERS; number++) {
      client.store((1000 + number) as Oid, ZERO_TID, record('0'), txn);
    }
    client.tpcVote(txn);
    client.tpcFinish(txn);
    client.close();
  }

  beforeAll(async () => {
    const port = await freePort();
    const flags = ['--storage', 'file', '--path', join(directory, 'bank.fs')];
    server = new ServerProcess(port, flags);
    // Its queue tells a client nothing that was away.
    forgetful = new ServerProcess(port, [...flags, '--invalidation-queue-size', '1']);
    running = server;
    await server.start();
    await makeAccounts();
    proxy = new FaultyProxy(port);
    const through = await proxy.listen();
    writers = Array.from({ length: WRITERS }, (_, number) => new Writer(through, number));
    for (const writer of writers) writer.start();
  }, 300_000);

  afterAll(async () => {
    for (const writer of writers) await writer.kill();
    proxy.close();
    await running.kill();
  });

  const problems = (): string => writers.map(({ wrong }) => wrong).join('');

  /** Waits until every writer has committed twice more. */
  async function progress(): Promise<void> {
    const wanted = writers.map(({ counts }) => counts.commits + 2);
    const end = performance.now() + PATIENCE;
    while (writers.some(({ counts }, index) => counts.commits < wanted[index]!)) {
      if (problems() !== '') throw new Error(problems());
      if (performance.now() > end) throw new Error(`nothing goes on: ${JSON.stringify(writers)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Waits for a message, and does something about it; `false` cuts the connection there. */
  function once(where: 'onRequest' | 'onAnswer', name: string, act: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      proxy[where] = (message) => {
        if (!message.includes(name)) return true;
        proxy[where] = () => true;
        resolve();
        return act();
      };
    });
  }

  async function killWhen(name: string, next: ServerProcess, pass: boolean): Promise<void> {
    let killed: Promise<unknown> | undefined;
    await once('onRequest', name, () => {
      // What is passed on may or may not be done before the end comes.
      if (pass) setTimeout(() => (killed = running.kill()), Math.random() * 3);
      else killed = running.kill();
      return true;
    });
    while (killed === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    await killed;
    running = next;
    await running.start();
  }

  const faults: [string, () => Promise<void>][] = [
    ['killed when a store comes', () => killWhen('storea', server, false)],
    ['killed when a vote comes', () => killWhen('vote', forgetful, false)],
    ['killed during a vote', () => killWhen('vote', server, true)],
    ['killed when tpc_finish comes', () => killWhen('tpc_finish', server, false)],
    ['killed during tpc_finish, and back with a lost queue', () => killWhen('tpc_finish', forgetful, true)],
    ['killed when zodb_commit comes', () => killWhen('zodb_commit', server, false)],
    ['killed during zodb_commit, and back with a lost queue', () => killWhen('zodb_commit', forgetful, true)],
    ['cut at a store', () => once('onRequest', 'storea', () => false)],
    ['cut at a vote', () => once('onRequest', 'vote', () => false)],
    ['cut at tpc_finish', () => once('onRequest', 'tpc_finish', () => false)],
    ['cut at zodb_commit', () => once('onRequest', 'zodb_commit', () => false)],
    ['cut before an invalidation', () => once('onAnswer', 'invalidateTransaction', () => false)],
    ['cut everywhere', async () => proxy.cut()],
    ['split into pieces', () => during({ manner: 'split' })],
    ['slow and late', () => during({ manner: 'slow', delay: 5 })],
    ['a client that does not read for a while', async () => proxy.stall(300)],
    ['a cache file cut short', () => cutCache()],
  ];

  async function during(change: Partial<Pick<FaultyProxy, 'manner' | 'delay'>>): Promise<void> {
    Object.assign(proxy, change);
    await progress();
    Object.assign(proxy, { manner: 'whole', delay: 0 });
  }

  async function cutCache(): Promise<void> {
    const writer = writers[Math.floor(Math.random() * WRITERS)]!;
    await writer.kill();
    truncateSync(writer.cachePath, Math.floor(Math.random() * statSync(writer.cachePath).size));
    writer.start();
  }

  it.each(Array.from({ length: Math.ceil(scale) }, () => faults).flat())(
    '%s',
    async (_, act) => {
      await progress();
      await act();
      await progress();
      expect(problems()).toBe('');
    },
    5 * PATIENCE,
  );

  it('at the end everybody is right', async () => {
    for (const writer of writers) await writer.kill();
    const sum = (name: keyof Counts): number =>
      writers
        .flatMap(({ counts, before }) => [counts, ...before])
        .reduce((all, counts) => all + counts[name], 0);
    expect(problems()).toBe('');
    const client = new ClientStorage(`127.0.0.1:${running.port}`, { waitTimeout: PATIENCE });
    // One snapshot: what was on its way when the programs were killed may arrive meanwhile.
    const snapshot = client.newInstance();
    snapshot.poll();
    const read = (oid: number): number => Number(textOf(snapshot.load(oid as Oid).data));
    let money = 0;
    for (let oid = 1; oid <= ACCOUNTS; oid++) money += read(oid);
    expect(money).toBe(TOTAL);
    writers.forEach(({ counts }, number) => {
      // A commit may have been on its way when the program was killed.
      expect([counts.sequence, counts.sequence + 1]).toContain(read(1000 + number));
    });
    client.close();
    if (process.env.ZODB_SOAK) {
      const names = ['commits', 'conflicts', 'lost', 'unknown', 'snapshots'] as const;
      process.stdout.write(`${names.map((name) => `${sum(name)} ${name}`).join(', ')}\n`);
    }
    expect(sum('commits')).toBeGreaterThan(faults.length * WRITERS);
  });
});
