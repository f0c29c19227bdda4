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
  [/^BTrees\.[A-Z]{2}BTree\.[A-Z]{2}(BTree|Bucket)$/, (name) => withParameters(name, 2), 'zodb/btrees'],
  [/^BTrees\.[A-Z]{2}BTree\.[A-Z]{2}(TreeSet|Set)$/, (name) => withParameters(name, 1), 'zodb/btrees'],
  [/^BTrees\.fsBTree\.fs(BTree|Bucket|TreeSet|Set)$/, (name) => name, 'zodb/btrees'],
];
/** Parts of trees and other classes that programs never name. */
const HIDDEN = /^(BTrees\.|persistent\.|ZODB\.)/;

/** Only an `O` among the letters of a family leaves a type open: `OOBTree<K, V>`, `IOBTree<V>`, `IITreeSet`. */
function withParameters(name: string, letters: number): string {
  const open = [...name.slice(0, letters)].filter((letter) => letter === 'O').map(() => 'unknown');
  return open.length === 0 ? name : `${name}<${open.join(', ')}>`;
}

/** Names that mean something else in the module: words of the language, types, imports. */
const RESERVED_TREES = /^([A-Z]{2}|fs)(BTree|Bucket|TreeSet|Set)$/;
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
  each: SurveyedClass,
  names: ReadonlyMap<string, string>,
  imports: Map<string, Set<string>>,
): string {
  const { module, name, fields, optional, objects } = each;
  const lines = [...fields].map(([field, types]) => {
    const type = union(Array.from(types, (text) => resolveTypes(text, names, imports)));
    const key = keyOf(field);
    return `  ${key}${optional.has(field) ? '?' : '!'}: ${type};`;
  });
  const head = `export class ${names.get(`${module}.${name}`)!}`;
  return [
    `/** ${objects} ${objects === 1 ? 'object' : 'objects'}.${remark(each)} */`,
    `@persistent(${quoted(`${module}.${name}`)})`,
    ...(lines.length === 0 ? [`${head} {}`] : [`${head} {`, ...lines, '}']),
    '',
  ].join('\n');
}

function keyOf(field: string): string {
  // As a name of a field TypeScript takes it only where it might be computed.
  if (field === 'constructor') return "['constructor']";
  return /^[A-Za-z_$][\w$]*$/.test(field) ? field : quoted(field);
}

/** What the fields alone don't say. */
function remark({ fields, opaque }: SurveyedClass): string {
  if (opaque > 0) {
    return ` The state of ${opaque === 1 ? 'one' : opaque} is no set of fields: give the class __getstate__() and __setstate__(state).`;
  }
  const [data, ...more] = fields.size === 1 ? (fields.get('data') ?? []) : [];
  if (data === undefined || more.length > 0) return '';
  if (/^(Record|Map)</.test(data))
    return ' Looks like a PersistentMapping: then extend that, without a field.';
  return data.endsWith('[]') ? ' Looks like a PersistentList: then extend that, without a field.' : '';
}

/** A string literal as formatters have it. */
function quoted(text: string): string {
  return /^[\w .$-]*$/.test(text) ? `'${text}'` : JSON.stringify(text);
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
    if (taken.has(chosen) || RESERVED_TREES.test(chosen)) chosen = identifier(`${module}.${name}`);
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
