/** The package as its users see it. */
import * as zodb from 'zodb';
import * as btrees from 'zodb/btrees';
import * as pickle from 'zodb/pickle';
import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, unknown>;
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
};

test('the public names are these; removing one breaks programs', () => {
  expect(Object.keys(zodb).sort()).toMatchSnapshot('zodb');
  expect(Object.keys(btrees).sort()).toMatchSnapshot('zodb/btrees');
  expect(Object.keys(pickle).sort()).toMatchSnapshot('zodb/pickle');
});

test('native code is optional', () => {
  expect(Object.keys(manifest.optionalDependencies)).toContain('better-sqlite3');
  expect(Object.keys(manifest.dependencies)).not.toContain('better-sqlite3');
});

test('the subpaths are these', () => {
  expect(Object.keys(manifest.exports).sort()).toMatchSnapshot();
});
