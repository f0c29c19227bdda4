/** Every TypeScript example of the README and the docs runs as it stands. */
import { transformSync } from '@swc/core';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

interface Example {
  name: string;
  code: string;
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/^```ts *\n(.*?)^```/gms)].map((match) => {
    const line = text.slice(0, match.index).split('\n').length;
    return { name: `${file}:${line}`, code: match[1]! };
  });
}

/** Imports stay outside the asynchronous function that the rest becomes, so that an example may `await`. */
function runnable(code: string): string {
  const imports = code.match(/^(import\s[^;]*?;\s*\n)+/m)?.[0] ?? '';
  const body = code.replace(imports, '');
  const source = `${imports}\nexport async function example() {\n${body}\n}`;
  return transformSync(source, {
    filename: 'example.ts',
    jsc: {
      target: 'es2022',
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
    },
    module: { type: 'commonjs' },
  }).code;
}

const files = ['README.md', ...readdirSync('docs').map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith('.md'),
);
const examples = files.flatMap(examplesOf);

let directory: string;
const log = jest.spyOn(console, 'log').mockImplementation(() => undefined);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zodb-docs-'));
  process.env.ZODB_DOCS_DIR = directory;
});
afterEach(() => rmSync(directory, { recursive: true }));
afterAll(() => log.mockRestore());

test('there are examples to run', () => expect(examples.length).toBeGreaterThan(0));

test.each(examples)('$name', async ({ code }) => {
  // Examples use the same class names: each gets the package, and with it the registry, anew.
  const globals = globalThis as unknown as Record<symbol, unknown>;
  for (const symbol of Object.getOwnPropertySymbols(globals)) {
    if (symbol.description?.startsWith('zodb')) delete globals[symbol];
  }
  jest.resetModules();
  const module = { exports: {} as { example(): Promise<void> } };
  const load = new Function('require', 'module', 'exports', runnable(code));
  load((name: string) => jest.requireActual(name), module, module.exports);
  await module.exports.example();
});

const slug = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');

function anchorsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/^```.*?^```/gms, '');
  return [...text.matchAll(/^#+ +(.*)$/gm)].map(([, heading]) => slug(heading!));
}

/** Links to files and headings, and files named in passing, that are not there. */
function deadLinksOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/^```.*?^```/gms, '');
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  const dead = links.filter((target) => {
    if (/^https?:/.test(target)) return false;
    const [path, anchor] = target.split('#');
    const linked = path ? join(dirname(file), path) : file;
    return !existsSync(linked) || (anchor !== undefined && !anchorsOf(linked).includes(anchor));
  });
  const named = [...text.matchAll(/`((?:samples|docs|src|test|bench|scripts)\/[\w./-]*)`/g)].map(
    ([, path]) => path!,
  );
  return [...dead, ...named.filter((path) => !existsSync(path))];
}

test.each([...files, 'CONTRIBUTING.md', 'CHANGELOG.md'])('%s links to what exists', (file) => {
  expect(deadLinksOf(file)).toEqual([]);
});
