import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { withoutPassword } from '../../src/cli/output';
import { formatOid, formatTid, ROOT_OID } from '../../src/ids';
import { SqliteStorage, TransactionMetaData } from '../../src/storage';
import { Harness } from '../../src/testing/harness';

// The real command, as a process of its own; beside node_modules, where it finds what it needs.
const cache = join(__dirname, '../../node_modules/.cache/zodb-tests');
const bundle = join(cache, `cli-${process.pid}.cjs`);
let directory: string;
let path: string;

beforeAll(() => {
  mkdirSync(cache, { recursive: true });
  buildSync({
    entryPoints: [join(__dirname, '../../src/cli/main.ts')],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
  });
});
afterAll(() => rmSync(bundle, { force: true }));
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zodb-cli-'));
  path = join(directory, 'test.sqlite');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function zodb(
  args: string[],
  env: NodeJS.ProcessEnv = {},
): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bundle, ...args], {
    env: { ...process.env, ZODB_URL: undefined, ...env },
    encoding: 'utf8',
  });
  return { code: status, out: stdout, err: stderr };
}

function json(args: string[], env?: NodeJS.ProcessEnv): Record<string, unknown> {
  const { code, out, err } = zodb(['--json', ...args], env);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as Record<string, unknown>;
}

/** A database with a root, an object of two revisions, and one that nothing leads to. */
function fill(): { oid: string; tids: string[] } {
  const h = new Harness(new SqliteStorage(path));
  const { oid, tid } = h.create('one');
  const root = h.root([oid]);
  const meta = new TransactionMetaData({ user: 'ann', description: 'second thoughts' });
  const second = h.commit([{ oid, serial: tid, text: 'two' }], meta);
  const garbage = h.create('garbage');
  h.storage.close();
  return { oid: formatOid(oid), tids: [tid, root, second, garbage.tid].map(formatTid) };
}

function text(oid: string): string {
  return String((json(['dump', path, '--oid', oid]).state as unknown[]).at(-1));
}

test('info tells what a database holds', () => {
  const { tids } = fill();
  expect(json(['info', path])).toMatchObject({ name: path, objects: 3, lastTransaction: tids[3] });
  const { code, out } = zodb(['info'], { ZODB_URL: `sqlite:${path}` });
  expect(code).toBe(0);
  expect(out).toContain('objects           3\n');
});

test('colours are for terminals and for those who force them, not for pipes', () => {
  fill();
  expect(zodb(['history', path], { CI: 'true' }).out).not.toContain('\x1b');
  expect(zodb(['history', path], { FORCE_COLOR: '1' }).out).toContain('\x1b[1mtid\x1b[22m');
  expect(zodb(['info', path], { FORCE_COLOR: '1' }).out).toContain('\x1b[2mobjects         \x1b[22m  3');
});

test('check passes on a sound database and fails on a damaged one', () => {
  fill();
  expect(json(['check', path])).toEqual({ objects: 3, revisions: 4, problems: [] });
  const bytes = readFileSync(path);
  bytes[bytes.lastIndexOf('garbage')]! ^= 1;
  writeFileSync(path, bytes);
  const { code, out } = zodb(['check', path]);
  expect(code).toBe(3);
  expect(out).toContain('damaged');
});

test('pack removes, and a dry run only tells', () => {
  const { oid } = fill();
  const would = json(['pack', path, '--dry-run']);
  expect(would).toMatchObject({ revisions: 2, objects: 1, dryRun: true });
  expect(json(['pack', path, '--no-gc'])).toMatchObject({ revisions: 1, objects: 0 });
  expect(json(['pack', path])).toMatchObject({ revisions: 1, objects: 1 });
  expect(json(['info', path]).objects).toBe(2);
  expect(text(oid)).toBe('two');
});

test('history lists transactions, or the revisions of an object', () => {
  const { oid, tids } = fill();
  const all = json(['history', path]) as unknown as Record<string, string>[];
  expect(all.map(({ tid }) => tid)).toEqual([...tids].reverse());
  expect(all[1]).toMatchObject({ user: 'ann', description: 'second thoughts' });
  const one = json(['history', oid, path, '--limit', '1']) as unknown as Record<string, string>[];
  expect(one.map(({ tid }) => tid)).toEqual([tids[2]]);
  expect(zodb(['history', oid, path]).out).toContain('second thoughts');
});

test.each(['history', 'refs'])(
  '%s of a database and then an oid is refused, not answered without the oid',
  (command) => {
    const { oid } = fill();
    const { code, out, err } = zodb([command, path, oid]);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('The oid comes before the database');
  },
);

test('undo takes a transaction back', () => {
  const { oid, tids } = fill();
  expect(json(['undo', tids[2]!, path]).objects).toEqual([oid]);
  expect(text(oid)).toBe('one');
});

test('an undo that is not possible fails and says why', () => {
  const { tids } = fill();
  const { code, err } = zodb(['--json', 'undo', tids[0]!, path]);
  expect(code).toBe(1);
  expect(JSON.parse(err)).toMatchObject({ error: 'UNDO' });
});

test('dump shows objects and transactions', () => {
  const { oid } = fill();
  const { out } = zodb(['dump', path]);
  expect(out).toContain(`${formatOid(ROOT_OID)} `);
  expect(out).toContain("'two'");
  const lines = zodb(['--json', 'dump', path, '--transactions'])
    .out.trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.filter((line) => 'description' in line)).toHaveLength(4);
  expect(lines.filter((line) => line.oid === oid)).toHaveLength(2);
  expect(zodb(['dump', path, '--limit', '1']).out).not.toContain("'two'");
});

test('a backup is a whole database, and is never overwritten', () => {
  const { oid } = fill();
  const copy = join(directory, 'copy.sqlite');
  expect(json(['backup', copy, path])).toMatchObject({ path: copy });
  expect(json(['check', copy])).toEqual(json(['check', path]));
  expect(zodb(['backup', copy, path])).toMatchObject({ code: 1, out: '' });
  path = copy;
  expect(text(oid)).toBe('two');
});

test('restore makes a database of another kind', () => {
  const { oid, tids } = fill();
  const target = join(directory, 'Data.fs');
  expect(json(['restore', path, target])).toMatchObject({ transactions: 4, records: 4 });
  expect(json(['info', target])).toMatchObject({ objects: 3, lastTransaction: tids[3] });
  path = target;
  expect(text(oid)).toBe('two');
  expect(zodb(['restore', path, target]).code).toBe(1);
});

test('a mistyped database is an error, and is not made', () => {
  const missing = join(directory, 'mistyped.sqlite');
  for (const args of [['info'], ['check'], ['pack'], ['undo', '0x03f47f9555dc2e22']]) {
    const { code, err } = zodb([...args, missing]);
    expect(code).toBe(1);
    expect(err).toContain('mistyped.sqlite');
  }
  expect(existsSync(missing)).toBe(false);
});

test('wrong usage has its own exit code', () => {
  for (const args of [
    ['nothing'],
    ['info'],
    ['undo'],
    ['pack', '--days', 'x', path],
    ['undo', 'xyz', path],
  ]) {
    expect([args, zodb(args).code]).toEqual([args, 2]);
  }
  expect(zodb(['--help'])).toMatchObject({ code: 0 });
});

test('records that can not be decoded are shown as such', () => {
  const h = new Harness(new SqliteStorage(path));
  const { oid } = h.create('x');
  h.transact((txn) => h.storage.store(oid, h.storage.load(oid).serial, Buffer.from('no pickle'), txn, []));
  h.storage.close();
  expect(zodb(['dump', path]).out).toContain('unreadable');
});

test('an encrypted database is read with its key, and copied out of and into encryption', () => {
  fill();
  const [sealed, again] = [join(directory, 'sealed.sqlite'), join(directory, 'again.fs')];
  const env = { ZODB_KEY: 'ab'.repeat(32) };
  const dumped = zodb(['dump', path]).out;
  expect(zodb(['copy', path, `encrypted:${sealed}`], env)).toMatchObject({ code: 0, err: '' });
  expect(zodb(['dump', `encrypted:${sealed}`], env)).toMatchObject({ code: 0, err: '' });
  expect(zodb(['copy', `encrypted:${sealed}`, again], env).code).toBe(0);
  expect(zodb(['dump', again]).out).toBe(dumped);
  expect(zodb(['dump', sealed]).out).toContain('encrypted:PATH');
  expect(zodb(['space', sealed])).toMatchObject({ code: 1, err: expect.stringContaining('encrypted:PATH') });
  expect(zodb(['space', `encrypted:${sealed}`])).toMatchObject({
    code: 1,
    err: expect.stringContaining('set ZODB_KEY'),
  });
});

test('a backup or restored database never goes into one that is there, whatever layers it is in', () => {
  fill();
  const [backup, sealed] = [
    join(directory, 'backup.sqlite'),
    `encrypted:${join(directory, 'sealed.sqlite')}`,
  ];
  const env = { ZODB_KEY: 'ab'.repeat(32) };
  zodb(['backup', backup, path]);
  expect(zodb(['restore', backup, sealed], env)).toMatchObject({ code: 0, err: '' });
  const before = zodb(['dump', '--transactions', sealed], env).out;
  for (const args of [
    ['restore', backup, sealed],
    ['backup', sealed, 'memory:'],
  ])
    expect(zodb(args, env)).toMatchObject({
      code: 1,
      err: expect.stringContaining('holds a database already'),
    });
  expect(zodb(['dump', '--transactions', sealed], env).out).toBe(before);
});

test('passwords are not shown', () => {
  expect(
    [
      'bank.sqlite',
      'postgres://ann:s:e@cret@host:5432/bank',
      'postgres://ann:secret@host/bank?schema=x',
      'zlib:postgres://ann:secret@host/bank',
      'postgres:///bank?user=ann&password=secret&host=x',
      'postgres://ann@host/bank',
      'zeo:host:8100/main',
    ].map(withoutPassword),
  ).toEqual([
    'bank.sqlite',
    'postgres://ann@host:5432/bank',
    'postgres://ann@host/bank?schema=x',
    'zlib:postgres://ann@host/bank',
    'postgres:///bank?user=ann&password=…&host=x',
    'postgres://ann@host/bank',
    'zeo:host:8100/main',
  ]);
});
