import { replaceReferences, union, type SurveyedClass } from './class-survey';

/** Classes that `zodb` has itself: how a reference to one is typed, and where it is imported from. */
const KNOWN: readonly (readonly [name: RegExp, type: (name: string) => string, from: string])[] = [
  [
    /^persistent\.mapping\.(PersistentMapping|PersistentDict)$/,
    () => 'PersistentMapping<unknown, unknown>',
    'zodb',
  ],
  [/^persistent\.list\.PersistentList$/, () => 'PersistentList<unknown>', 'zodb'],
  [/^ZODB\.blob\.Blob$/, () => 'Blob', 'zodb'],
  [/^BTrees\.Length\.Length$/, () => 'Length', 'zodb/btrees'],
  [/^BTrees\.[A-Z]{2}BTree\.[A-Z]{2}BTree$/, (name) => `${name}<unknown, unknown>`, 'zodb/btrees'],
  [/^BTrees\.[A-Z]{2}BTree\.[A-Z]{2}TreeSet$/, (name) => `${name}<unknown>`, 'zodb/btrees'],
];
/** Parts of trees and other classes that programs never name. */
const HIDDEN = /^(BTrees\.|persistent\.|ZODB\.)/;

/** Names that mean something else in the module: words of the language, types, imports. */
const RESERVED: readonly string[] = (
  'break case catch class const continue debugger default delete do else enum export extends false finally for function if ' +
  'implements import in instanceof interface let new null package private protected public return static super switch this ' +
  'throw true try typeof var void while with yield any boolean never number object string symbol undefined unknown bigint ' +
  'Date Map Record Set Uint8Array persistent PersistentMapping PersistentList Blob Length'
).split(' ');

/** A module of decorated classes for what a database holds: something to begin with, to be read and mended. */
export function emitTypeScript(classes: readonly SurveyedClass[]): string {
  const own = classes.filter(({ module, name }) => !HIDDEN.test(`${module}.${name}`));
  const names = uniqueNames(own);
  const imports = new Map<string, Set<string>>([['zodb', new Set(['persistent'])]]);
  const bodies = own.map((each) => emitClass(each, names, imports));
  const lines = [...imports].map(
    ([from, used]) => `import { ${[...used].sort().join(', ')} } from '${from}';`,
  );
  return `${lines.join('\n')}\n\n${bodies.join('\n')}`;
}

function emitClass(
  { module, name, fields, optional, objects }: SurveyedClass,
  names: ReadonlyMap<string, string>,
  imports: Map<string, Set<string>>,
): string {
  const lines = [...fields].map(([field, types]) => {
    const type = union(Array.from(types, (each) => resolveTypes(each, names, imports)));
    const key = /^[A-Za-z_$][\w$]*$/.test(field) ? field : JSON.stringify(field);
    return `  ${key}${optional.has(field) ? '?' : '!'}: ${type};`;
  });
  return [
    `/** ${objects} ${objects === 1 ? 'object' : 'objects'}. */`,
    `@persistent(${JSON.stringify(`${module}.${name}`)})`,
    `export class ${names.get(`${module}.${name}`)!} {`,
    ...lines,
    '}',
    '',
  ].join('\n');
}

/** Replaces marks of classes by the names that they have here. */
function resolveTypes(
  type: string,
  names: ReadonlyMap<string, string>,
  imports: Map<string, Set<string>>,
): string {
  return replaceReferences(type, (stored) => {
    const own = names.get(stored);
    if (own !== undefined) return own;
    const known = KNOWN.find(([pattern]) => pattern.test(stored));
    if (known === undefined) return 'object';
    const [, typeOf, from] = known;
    const text = typeOf(stored.split('.').at(-1)!);
    let used = imports.get(from);
    if (used === undefined) imports.set(from, (used = new Set()));
    used.add(text.replace(/<.*$/, ''));
    return text;
  });
}

/** Class names as they are stored; where two modules have the same, with the module before them. */
function uniqueNames(classes: readonly SurveyedClass[]): Map<string, string> {
  const taken = new Set(RESERVED);
  const names = new Map<string, string>();
  for (const { module, name } of classes) {
    let chosen = identifier(name);
    if (taken.has(chosen)) chosen = identifier(`${module}.${name}`);
    for (let number = 2; taken.has(chosen); number++) chosen = identifier(`${module}.${name}${number}`);
    taken.add(chosen);
    names.set(`${module}.${name}`, chosen);
  }
  return names;
}

function identifier(name: string): string {
  const parts = name.split(/[^A-Za-z0-9_$]+/).filter(Boolean);
  const joined =
    parts.length === 1 ? parts[0]! : parts.map((part) => part[0]!.toUpperCase() + part.slice(1)).join('');
  return /^[A-Za-z_$]/.test(joined) ? joined : `_${joined}`;
}
