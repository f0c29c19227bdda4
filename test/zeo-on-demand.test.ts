/** The network's code is loaded with the first `zeo:` URI; a bundle has it too. */
import { execFileSync } from 'node:child_process';
import { buildSync } from 'esbuild';
import type * as Zodb from 'zodb';

test('zeo is loaded when a zeo: URI is used first, and registers its own scheme then', () => {
  jest.isolateModules(() => {
    let loads = 0;
    jest.doMock('../src/zeo/index', () => {
      loads++;
      return jest.requireActual<object>('../src/zeo/index');
    });
    const { DB, openStorage } = jest.requireActual<typeof Zodb>('zodb');
    new DB().close();
    expect(loads).toBe(0);
    for (let i = 0; i < 2; i++) {
      expect(() => openStorage('zeo:127.0.0.1:1?waitTimeout=50&nonsense=1')).toThrow('no option "nonsense"');
      expect(loads).toBe(1);
    }
  });
});

test('a bundle finds it', () => {
  const { outputFiles } = buildSync({
    stdin: {
      contents: `
        import { openStorage } from './src/index';
        try { openStorage('zeo:127.0.0.1:1?nonsense=1'); } catch (error) { console.log(error.message); }
      `,
      resolveDir: process.cwd(),
    },
    bundle: true,
    platform: 'node',
    target: 'node20',
    packages: 'external',
    write: false,
    logLevel: 'error',
  });
  const out = execFileSync(process.execPath, ['-'], { input: outputFiles[0]!.text, encoding: 'utf8' });
  expect(out).toContain('no option "nonsense"');
});
