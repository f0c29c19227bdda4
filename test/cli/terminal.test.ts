/** What a person at a terminal sees. */
import { createColors } from 'picocolors';
import { logLines } from '../../src/cli/log-lines';
import { runCommand } from '../../src/cli/program';
import { ROOT_OID, type Oid } from '../../src/ids';
import { FileStorage } from '../../src/storage';
import { put } from '../storage/file/commits';
import { TemporaryDirectory } from '../storage/file/directory';
import { mappingRecord } from '../storage/file/records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());

async function zodb(width: number, ...args: string[]): Promise<string> {
  let shown = '';
  const show = (text: string): void => void (shown += text);
  await runCommand(args, { env: {}, isTerminal: false, width, hasColors: true, out: show, err: show });
  return shown;
}

const BOLD = '\x1b[1m';
const PLAIN = '\x1b[22m';

test('a table is cut to the width of the terminal, but for what is of no use without its end', async () => {
  const file = directory.file();
  const storage = new FileStorage(file);
  put(storage, ROOT_OID, mappingRecord('one'), 'a description of more than thirty characters');
  put(storage, 1 as Oid, mappingRecord('two'), '中文'.repeat(20));
  storage.close();
  const [head, newest, oldest] = (await zodb(100, 'tail', file)).split('\n');
  expect(head).toContain(`${BOLD}tid${PLAIN}`);
  expect(newest).toMatch(/^0x[0-9a-f]{16} {2}\S+Z +1 +\d+ +(中文)+中?…$/);
  expect(oldest).toMatch(/^0x[0-9a-f]{16} {2}\S+Z +1 +\d+ +a description[a-z ]*…$/);
  expect(oldest!.length).toBeLessThanOrEqual(100);
  // Where there is room nothing is cut, and where there is too little no more than helps.
  expect(await zodb(200, 'tail', file)).toContain('more than thirty characters\n');
  expect(await zodb(20, 'tail', file)).toMatch(/^0x[0-9a-f]{16} {2}\S+Z +1 +\d+ +a descripti…$/m);
});

test('a check that finds nothing is green, one that finds something red', async () => {
  const file = directory.file();
  const storage = new FileStorage(file);
  put(storage, ROOT_OID, mappingRecord('root', []));
  storage.close();
  expect(await zodb(80, 'check', file)).toContain('\x1b[32mnone\x1b[39m');
  const broken = directory.file();
  const other = new FileStorage(broken);
  put(other, ROOT_OID, mappingRecord('root', [5 as Oid]));
  other.close();
  expect(await zodb(80, 'check', broken)).toContain('\x1b[31m1\x1b[39m');
});

test('the help of a command shows the options of all commands; errors begin alike', async () => {
  expect(await zodb(80, 'pack', '--help')).toMatch(/--days <n>[^]*Global Options:[^]*--json/);
  expect(await zodb(80, '--help')).toMatch(/^Look:$[^]*^Check and mend:$[^]*^Examples:$[^]*^Exit codes: /m);
  expect(await zodb(80, 'inf')).toBe("zodb: unknown command 'inf'\n(Did you mean info?)\n");
});

test('lines of the log are for people', () => {
  let shown = '';
  const lines = logLines(createColors(false), (text) => void (shown += text));
  const entry = {
    level: 40,
    time: new Date(2026, 0, 31, 12, 5, 9).getTime(),
    pid: 1,
    hostname: 'h',
    name: 'zeo-server',
  };
  lines.write(JSON.stringify({ ...entry, client: '127.0.0.1:1', readOnly: false, msg: 'a call\nfailed' }));
  lines.write(JSON.stringify({ ...entry, level: 30 }));
  expect(shown).toBe('12:05:09 warn  a call failed  client=127.0.0.1:1  readOnly=false\n12:05:09 info  \n');
});
