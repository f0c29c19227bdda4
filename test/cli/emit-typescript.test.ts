import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { ClassSurvey } from '../../src/cli/class-survey';
import { emitTypeScript } from '../../src/cli/emit-typescript';
import { StoredReference, type ClassMeta } from '../../src/record/index';

const FAMILIES = 'OO OI OU OL OQ IO II IU IF UO UU UI UF LO LL LQ LF QO QQ QL QF fs'.split(' ');
const KINDS = ['BTree', 'TreeSet', 'Bucket', 'Set'];

function reference(module: string, name: string): StoredReference {
  return new StoredReference('strong', 1 as never, { module, name } as ClassMeta);
}

function surveyed(states: Record<string, unknown>): string {
  const survey = new ClassSurvey();
  for (const [name, state] of Object.entries(states)) survey.add('app', name, state, 10);
  return emitTypeScript(survey.classes);
}

/** What the compiler says of a module that stands in `test/cli`. */
function complaints(text: string): string[] {
  const path = join(__dirname, 'emitted-model.ts');
  const { config } = ts.readConfigFile('tsconfig.json', (file) => readFileSync(file, 'utf8')) as {
    config: object;
  };
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, process.cwd());
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (file) => file === path || fileExists(file);
  host.getSourceFile = (file, language) =>
    file === path ? ts.createSourceFile(path, text, language) : getSourceFile(file, language);
  const program = ts.createProgram([path], { ...options, types: ['node'] }, host);
  const model = program.getSourceFile(path);
  return ts
    .getPreEmitDiagnostics(program, model)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}

test('a field of every collection has a type that compiles', () => {
  const fields: Record<string, unknown> = {
    mapping: reference('persistent.mapping', 'PersistentMapping'),
    list: [
      reference('persistent.list', 'PersistentList'),
      reference('BTrees.Length', 'Length'),
      reference('ZODB.blob', 'Blob'),
    ],
  };
  for (const family of FAMILIES) {
    for (const kind of KINDS) fields[family + kind] = reference(`BTrees.${family}BTree`, family + kind);
  }
  const text = surveyed({ Shelf: fields, OOBTree: { n: 1 } });
  expect(text).toContain('  IOBTree!: IOBTree<unknown>;');
  expect(text).toContain('  OOTreeSet!: OOTreeSet<unknown>;');
  expect(text).toContain('  IIBTree!: IIBTree;');
  expect(text).toContain('  list!: (Length | Blob | PersistentList<unknown>)[];');
  expect(text).toContain("@persistent('app.OOBTree')\nexport class AppOOBTree {");
  expect(complaints(text)).toEqual([]);
});

test('fields of any name compile', () => {
  const names = [
    'constructor',
    'get',
    'static',
    'class',
    'content type',
    "it's",
    'Ünï',
    'a\nb',
    '\u2028',
    '1',
    '',
    'name',
    'length',
    '#x',
    '\ud800',
  ];
  const text = surveyed({ Odd: Object.fromEntries(names.map((name) => [name, 1])), Ünï: { a: 1 } });
  expect(complaints(text)).toEqual([]);
});

test('states of slots are fields, and what is none is remarked upon', () => {
  expect(
    surveyed({ Both: Object.freeze([{ a: 1 }, { b: 'x' }]), Own: Object.freeze([1, 2, 3]), Nothing: null }),
  ).toBe(`import { persistent } from 'zodb';

/** 1 object. */
@persistent('app.Both')
export class Both {
  a!: number;
  b!: string;
}

/** 1 object. */
@persistent('app.Nothing')
export class Nothing {}

/** 1 object. The state of one is no set of fields: give the class __getstate__() and __setstate__(state). */
@persistent('app.Own')
export class Own {}
`);
});

test('what looks like a subclass of a collection is said to', () => {
  expect(surveyed({ Shelf: { data: { a: 1 } } })).toContain(
    '/** 1 object. Looks like a PersistentMapping: then extend that, without a field. */',
  );
  expect(surveyed({ Queue: { data: [1] } })).toContain('Looks like a PersistentList');
  expect(surveyed({ Other: { data: [1], more: 1 } })).toContain('/** 1 object. */');
});
