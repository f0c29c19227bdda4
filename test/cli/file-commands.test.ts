import { spawn } from 'node:child_process';
import { buildSync } from 'esbuild';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import ts from 'typescript';
import { runCommand } from '../../src/cli/program';
import { ROOT_OID, type Oid } from '../../src/ids';
import { FileStorage, SqliteStorage } from '../../src/storage';
import { fixturePath } from '../fixtures';
import { put } from '../storage/file/commits';
import { TemporaryDirectory } from '../storage/file/directory';
import { mappingRecord, plainHost } from '../storage/file/records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());

async function zodb(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const code = await runCommand(args, {
    env: {},
    isTerminal: false,
    out: (text) => (out += text),
    err: (text) => (err += text),
  });
  return { code, out, err };
}

async function json(...args: string[]): Promise<unknown> {
  const { code, out, err } = await zodb('--json', ...args);
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out);
}

const basic = fixturePath('filestorage', 'basic.fs');

/** Every transaction and record, as text; records of a transaction in order of oids. */
function recordsOf(file: string): unknown {
  const storage = new FileStorage(file, { readOnly: true });
  try {
    return Array.from(storage.iterate(), (transaction) => ({
      tid: transaction.tid,
      user: transaction.meta.user,
      description: transaction.meta.description,
      extension: Buffer.from(transaction.meta.extensionBytes).toString('hex'),
      records: Array.from(transaction.records(), ({ oid, data }) => [
        oid,
        Buffer.from(data!).toString('hex'),
      ]).sort(),
    }));
  } finally {
    storage.close();
  }
}

it('copies a Data.fs to SQLite and back, record by record the same', async () => {
  const [sqlite, file] = [directory.file('copy.sqlite'), directory.file()];
  expect(await json('copy', basic, sqlite)).toMatchObject({ transactions: 6, records: 20 });
  await json('copy', `sqlite:${sqlite}`, file);
  expect(recordsOf(file)).toEqual(recordsOf(basic));
  // Again: only what is new.
  expect(await json('copy', basic, sqlite)).toMatchObject({ transactions: 0 });
});

it('converts a file of Python 2', async () => {
  const [old, file] = [fixturePath('filestorage', 'py2', 'py2.fs'), directory.file()];
  // Its blobs are not where they are looked for by themselves.
  expect(await json('copy', old, file)).toMatchObject({ blobs: 0, missingBlobs: 1 });
  const [before, after] = [fs.readFileSync(old), fs.readFileSync(file)];
  expect([before.toString('latin1', 0, 4), after.toString('latin1', 0, 4)]).toEqual(['FS21', 'FS30']);
  expect(after.subarray(4).equals(before.subarray(4))).toBe(true);
  const { out } = await zodb('copy', old, directory.file());
  expect(out).toMatch(/^blobs missing +1: their records are copied, without content$/m);
  const blobDir = fixturePath('filestorage', 'py2', 'py2-blobs');
  expect(await json('copy', `file:${old}?blobDir=${blobDir}`, directory.file())).toMatchObject({
    blobs: 1,
    missingBlobs: 0,
  });
});

it('recovers what is whole in a damaged file', async () => {
  const bytes = fs.readFileSync(basic);
  const damaged = directory.file();
  bytes.fill(0xff, 1483, 1520);
  fs.writeFileSync(damaged, bytes);
  expect(() => new FileStorage(damaged, { readOnly: true })).toThrow(/damaged/);
  const target = directory.file();
  expect(await json('recover', damaged, target)).toMatchObject({ transactions: 5 });
  const storage = new FileStorage(target);
  expect([...storage.iterate()].length).toBe(5);
  storage.close();
});

it('backs up in increments, verifies, and restores to a moment', async () => {
  const [file, repository, target] = [directory.file(), directory.file('backups'), directory.file()];
  fs.mkdirSync(repository);
  const write = (text: string): void => {
    const storage = new FileStorage(file);
    put(storage, ROOT_OID, mappingRecord(text));
    storage.close();
  };
  write('one');
  expect(await json('backup', repository, file)).toMatchObject({ kind: 'full' });
  const between = new Date(Date.now() + 1).toISOString();
  await new Promise((resolve) => setTimeout(resolve, 5));
  write('two');
  expect(await json('backup', repository, file, '--gzip')).toMatchObject({ kind: 'increment' });
  expect(await json('verify-backup', repository)).toMatchObject({ files: 2, problems: [] });
  for (const other of [`${target}.sqlite`, `sqlite:${target}.uri`]) {
    expect(await json('restore', repository, other, '--at', between)).toMatchObject({ transactions: 1 });
    const restored = new SqliteStorage(other.replace('sqlite:', ''), { readOnly: true });
    expect(Buffer.from(restored.load(ROOT_OID).data)).toEqual(mappingRecord('one'));
    restored.close();
    expect(await zodb('restore', repository, other)).toMatchObject({ code: 1 });
  }
  expect(await zodb('restore', repository, target, '--at', '2020-01-01T00:00:00Z')).toMatchObject({
    code: 1,
    err: expect.stringContaining('There was nothing at 2020-01-01') as string,
  });
  expect(fs.existsSync(target)).toBe(false);
  await json('restore', repository, target, '--at', between);
  const storage = new FileStorage(target);
  expect(Buffer.from(storage.load(ROOT_OID).data)).toEqual(mappingRecord('one'));
  storage.close();
  fs.appendFileSync(
    fs
      .readdirSync(repository)
      .map((name) => path.join(repository, name))
      .find((name) => name.endsWith('.fs'))!,
    'x',
  );
  expect((await zodb('verify-backup', repository)).code).toBe(3);
});

it('tells what refers to an object, what keeps it, and what refers to nothing', async () => {
  const file = directory.file();
  const storage = new FileStorage(file);
  storage.registerDB(plainHost);
  put(storage, 2 as Oid, mappingRecord('two'));
  put(storage, 1 as Oid, mappingRecord('one', [2 as Oid]));
  put(storage, 3 as Oid, mappingRecord('three', [2 as Oid, 9 as Oid]));
  put(storage, ROOT_OID, mappingRecord('root', [1 as Oid]));
  storage.close();
  const name = 'persistent.mapping.PersistentMapping';
  expect(await json('refs', '0x2', file)).toEqual([
    { oid: '0x1', class: name, by: '["0"]' },
    { oid: '0x3', class: name, by: '["0"]' },
  ]);
  expect(await json('why', '2', file)).toEqual([
    { oid: '0x0', class: name, by: '' },
    { oid: '0x1', class: name, by: '["0"]' },
    { oid: '0x2', class: name, by: '["0"]' },
  ]);
  const dangling = await zodb('--json', 'refs', file);
  expect([dangling.code, JSON.parse(dangling.out)]).toEqual([
    3,
    [{ oid: '0x3', class: name, by: '["1"]', missing: '0x9' }],
  ]);
  expect((await zodb('why', '0x3', file)).code).toBe(3);
  expect(await json('space', file)).toEqual([
    { class: name, objects: 4, bytes: expect.any(Number) as number },
  ]);
});

it('shows the last transactions', async () => {
  const rows = (await json('tail', basic, '--limit', '2')) as { tid: string }[];
  expect(rows.map(({ tid }) => tid)).toEqual(['0x03f6f35b5ddddddd', '0x03f6f35b5aaaaaaa']);
  const copy = directory.file('copy.sqlite');
  await json('copy', basic, copy);
  expect(await json('tail', copy, '--limit', '2')).toEqual(rows);
});

it('emits decorated classes that compile', async () => {
  const { code, out } = await zodb('classes', basic, '--emit', 'ts');
  expect(code).toBe(0);
  expect(out).toContain("@persistent('fixture_app.models.Account')");
  expect(out).toMatch(/owner!: string;/);
  expect(out).toMatch(/balance!: number;/);
  expect(out).toMatch(/class Slotted {\n {2}left!: number;/);
  expect(out).toMatch(/The state of one is no set of fields: .*\n.*CustomState/);
  const { diagnostics } = ts.transpileModule(out, {
    reportDiagnostics: true,
    compilerOptions: { experimentalDecorators: true, target: ts.ScriptTarget.ES2022 },
  });
  expect(diagnostics).toEqual([]);
});

/** A record of any class: fields with texts, and references under `'0'`, `'1'`, … */
function recordOf(
  name: string,
  fields: Record<string, string>,
  references: readonly [Oid, string][] = [],
): Buffer {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return Buffer.concat([Buffer.from('X'), length, bytes]);
  };
  const classOf = (each: string): Buffer => Buffer.from(`capp.models\n${each}\n`);
  const items = Object.entries(fields).map(([key, value]) =>
    Buffer.concat([text(key), text(value), Buffer.from('s')]),
  );
  for (const [place, [oid, each]] of references.entries()) {
    const reference = Buffer.alloc(8);
    reference.writeBigUInt64BE(BigInt(oid));
    items.push(
      Buffer.concat([
        text(String(place)),
        Buffer.from('C\x08'),
        reference,
        classOf(each),
        Buffer.from('\x86Qs', 'latin1'),
      ]),
    );
  }
  const proto = Buffer.from([0x80, 3]);
  return Buffer.concat([
    proto,
    classOf(name),
    Buffer.from('.'),
    proto,
    Buffer.from('}'),
    ...items,
    Buffer.from('.'),
  ]);
}

async function emitted(file: string, ...options: string[]): Promise<string> {
  const { code, out } = await zodb('classes', file, '--emit', 'ts', ...options);
  expect(code).toBe(0);
  const { diagnostics } = ts.transpileModule(out, {
    reportDiagnostics: true,
    compilerOptions: { experimentalDecorators: true, target: ts.ScriptTarget.ES2022 },
  });
  expect(diagnostics).toEqual([]);
  return out;
}

it('looks at as many objects of each class as it is told', async () => {
  const file = directory.file();
  const storage = new FileStorage(file);
  const things: Record<string, string>[] = [{ a: '1' }, { a: '2', b: '3' }, { c: '4' }];
  for (const [place, fields] of things.entries()) {
    put(storage, (place + 1) as Oid, recordOf('Thing', fields));
  }
  storage.close();
  const fieldsOf = async (sample: string): Promise<string[]> =>
    (await emitted(file, '--sample', sample)).split('\n').filter((line) => line.startsWith('  '));
  expect(await fieldsOf('1')).toEqual(['  a!: string;']);
  expect(await fieldsOf('2')).toEqual(['  a!: string;', '  b?: string;']);
  expect(await fieldsOf('1000')).toEqual(['  a?: string;', '  b?: string;', '  c?: string;']);
  expect(await emitted(file, '--sample', '1')).toContain('/** 3 objects. */');
  expect(await json('classes', file, '--sample', '2')).toEqual([
    { class: 'app.models.Thing', objects: 3, fields: ['a', 'b'] },
  ]);
  for (const wrong of ['0', '-1', 'x', '1.5', '']) {
    expect(await zodb('classes', file, '--sample', wrong)).toMatchObject({ code: 2, out: '' });
  }
});

it('emits nothing but declarations, whatever classes and fields are called', async () => {
  const names = [
    'Date',
    'persistent',
    'class',
    'A.B',
    'a b',
    '9',
    'Ünï',
    '{}; evil(); //',
    '*/ evil(); /*',
    '"',
  ];
  const file = directory.file();
  const storage = new FileStorage(file);
  for (const [place, name] of names.entries()) {
    const references = names.map((each, other): [Oid, string] => [(other + 1) as Oid, each]);
    put(storage, (place + 1) as Oid, recordOf(name, { [`*/ evil(); "${name}`]: 'text' }, references));
  }
  storage.close();
  const { statements } = ts.createSourceFile('model.ts', await emitted(file), ts.ScriptTarget.ES2022);
  const declared = statements.filter(ts.isClassDeclaration);
  expect(statements.length).toBe(declared.length + 1);
  expect(new Set(declared.map((each) => each.name?.text)).size).toBe(names.length);
});

it('exports an object and imports it under a key', async () => {
  const exported = directory.file('account.zexp');
  expect(await json('export', '0x1', exported, basic)).toMatchObject({ objects: 2 });
  const target = directory.file('target.sqlite');
  const storage = new SqliteStorage(target);
  storage.close();
  expect(await json('import', exported, 'account', target)).toMatchObject({ key: 'account' });
  const rows = (await json('why', '0x1', target)) as { class: string }[];
  expect(rows.map((row) => row.class)).toEqual([
    'persistent.mapping.PersistentMapping',
    'fixture_app.models.Account',
  ]);
});

it('imports under a new key of the root, and replaces an old one only when told', async () => {
  const [file, exported] = [directory.file(), directory.file('one.zexp')];
  const storage = new FileStorage(file);
  storage.registerDB(plainHost);
  put(storage, 1 as Oid, mappingRecord('one'));
  put(storage, ROOT_OID, mappingRecord('root', [1 as Oid]));
  storage.close();
  await json('export', '0x1', exported, file);
  const old = directory.file();
  await json('copy', basic, old);
  const { oid } = (await json('import', exported, 'brought in', old)) as { oid: string };
  const again = await zodb('import', exported, 'brought in', old);
  expect([again.code, again.err]).toEqual([
    1,
    'zodb: The root has a key "brought in" already; import under another one, or with --replace.\n',
  ]);
  expect((await zodb('why', oid, old)).code).toBe(0);
  await json('import', exported, 'brought in', old, '--replace');
  expect((await zodb('why', oid, old)).code).toBe(3);
});

it('leaves an export alone when the next one fails, and no part of a new one', async () => {
  const exported = directory.file('kept.zexp');
  fs.writeFileSync(exported, 'kept');
  expect((await zodb('export', '0x9999', exported, basic)).code).toBe(1);
  expect(fs.readFileSync(exported, 'utf8')).toBe('kept');
  const name = path.basename(exported);
  expect(fs.readdirSync(path.dirname(exported)).filter((each) => each.startsWith(name))).toEqual([name]);
});

it('says in a line what is missing', async () => {
  const [missing, database] = [directory.file('missing'), directory.file()];
  await json('copy', basic, database);
  for (const args of [
    ['recover', missing, directory.file()],
    ['import', missing, 'key', database],
  ]) {
    const { code, err } = await zodb(...args);
    expect([code, err.split('\n').length]).toEqual([1, 2]);
    expect(err).toMatch(/^zodb: .*missing/);
  }
});

it('makes no database by mistyping its name', async () => {
  const place = path.dirname(directory.file());
  for (const name of ['typo.fs', 'typo.sqlite', 'typo']) {
    const file = path.join(place, name);
    for (const args of [
      ...['info', 'check', 'check-btrees', 'pack', 'history', 'tail', 'space', 'classes', 'dump', 'refs'].map(
        (each) => [each],
      ),
      ['undo', '0x03f6f35b5ddddddd'],
      ['why', '0x1'],
      ['export', '0x1', path.join(place, 'x.zexp')],
      ['import', basic, 'key'],
      ['backup', path.join(place, 'copy')],
      ['backup', path.join(place, 'backups'), '--incremental'],
    ]) {
      const { code, out, err } = await zodb(...args, file);
      expect([args, code, out, err.split('\n').length]).toEqual([args, 1, '', 2]);
      expect(err).toContain(name);
    }
    for (const command of ['copy', 'restore', 'recover']) {
      expect(await zodb(command, file, path.join(place, 'new.fs'))).toMatchObject({ code: 1 });
    }
    expect(await zodb('verify-backup', file)).toMatchObject({ code: 1 });
  }
  expect(fs.readdirSync(place)).toEqual([]);
});

it('says what is wrong with an option, and that nothing can be copied into itself', async () => {
  for (const args of [
    ['tail', '--limit', 'x'],
    ['history', '--limit', '-1'],
    ['dump', '--limit', '0'],
    ['pack', '--days', 'x'],
    ['info', '--bogus'],
    ['dump', '--oid', 'zz'],
    ['copy', basic],
  ]) {
    expect([args, await zodb(...args, basic)]).toMatchObject([args, { code: 2, out: '' }]);
  }
});

it('prints columns that can be cut, one line a row', async () => {
  const file = directory.file();
  const storage = new FileStorage(file);
  put(storage, ROOT_OID, mappingRecord('one'), 'two\nlines \x1b[31m');
  storage.close();
  const { out } = await zodb('tail', file);
  const lines = out.trimEnd().split('\n');
  expect(lines.length).toBe(2);
  expect(lines[0]!.split(/ {2,}/)).toEqual(['tid', 'time', 'records', 'bytes', 'user', 'description']);
  expect(lines[1]).toMatch(/^0x[0-9a-f]{16} {2}\S+Z +1 +\d+ +two lines {1,2}\[31m$/);
});

it('ends quietly when nobody reads on', async () => {
  const program = directory.file('zodb.js');
  buildSync({
    entryPoints: [path.join(__dirname, '../../src/cli/main.ts')],
    bundle: true,
    platform: 'node',
    target: 'node20',
    outfile: program,
    packages: 'external',
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
    logLevel: 'error',
  });
  const file = directory.file();
  const storage = new FileStorage(file);
  put(storage, ROOT_OID, mappingRecord('root'));
  for (let oid = 1; oid < 300; oid++) put(storage, oid as Oid, mappingRecord('x'.repeat(5000)));
  storage.close();
  const child = spawn(process.execPath, [program, 'dump', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_PATH: path.resolve('node_modules') },
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  child.stdout.once('data', () => child.stdout.destroy());
  const [code] = (await once(child, 'close')) as [number];
  expect([code, errors]).toEqual([0, '']);
});

it('refuses a language that it can not write, and tells its version', async () => {
  const { code, err } = await zodb('classes', basic, '--emit', 'py');
  expect([code, err]).toEqual([2, expect.stringContaining('ts') as string]);
  expect(await zodb('--version')).toEqual({
    code: 0,
    out: `${(JSON.parse(fs.readFileSync('package.json', 'utf8')) as { version: string }).version}\n`,
    err: '',
  });
});
