import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../src/cli/program';
import { DB } from '../../src/database/index';
import { IISet, IITreeSet, OOBTree } from '../../src/btrees/index';
import { markChanged } from '../../src/persistence/index';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zodb-check-'));
  path = join(directory, 'data.sqlite');
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function zodb(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await runCommand(args, {
    env: {},
    isTerminal: false,
    out: (text) => (out += text),
    err: (text) => (err += text),
  });
  return { code, out, err };
}

/** Two trees, one with trees as values, and a set. */
function fill(): void {
  const db = new DB(path);
  db.transaction((root) => {
    root.numbers = new IITreeSet(Array.from({ length: 1000 }, (_, i) => i));
    const nested = new OOBTree<string, unknown>();
    for (let i = 0; i < 5; i++) nested.set(`k${i}`, new IITreeSet([i]));
    root.nested = nested;
    root.set = new IISet([1, 2]);
  });
  db.close();
}

describe('zodb check-btrees', () => {
  it('finds a good database good', async () => {
    fill();
    const { code, out, err } = await zodb('--json', 'check-btrees', path);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out)).toMatchObject({ collections: 8, problems: [] });
  });

  it('lists what is damaged', async () => {
    fill();
    const db = new DB(path);
    db.transaction((root) => {
      interface Node {
        content: { keys: Int32Array } | undefined;
        load(): { keys: Int32Array };
        child(content: object, index: number): Node;
      }
      const tree = root.numbers as Node;
      const leaf = tree.child(tree.load(), 2);
      leaf.load().keys[0] = 5;
      markChanged(leaf);
    });
    db.close();
    const { code, out } = await zodb('check-btrees', path);
    expect(code).toBe(3);
    expect(out).toMatch(/problems +1\n/);
    expect(out).toMatch(
      /IITreeSet 0x\w+: key 5 < lower bound 120 at index 0, in IISet 0x\w+, path from root 2\n/,
    );
  });
});
