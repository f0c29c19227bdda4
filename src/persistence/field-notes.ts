/**
 * What `@transient` and `@field` say, until the class they stand in is registered. Legacy decorators give the prototype; standard ones the class's metadata
 * object, or, where the compiler made none, only the certainty that the class's own decorator runs next.
 */
import type { TransientInit } from './class-model';
import type { FieldNotes } from './guard';
import type { FieldType } from './registry';

const METADATA = ensureMetadataSymbol();
const NOTES = Symbol('zodb.fields');

const byPrototype = new WeakMap<object, FieldNotes>();
let unclaimed: FieldNotes | undefined;

/** The part of a standard decorator's context that is used here. */
export interface StandardContext {
  readonly kind: string;
  readonly name?: string | symbol | undefined;
  readonly metadata?: object | undefined;
}

/** Where the notes of the class under definition are kept. */
export function notesFor(target: object | undefined, context: StandardContext | undefined): FieldNotes {
  if (context === undefined) return byPrototype.get(target!) ?? remember(byPrototype, target!, fresh());
  if (context.metadata === undefined) return (unclaimed ??= fresh());
  const metadata = context.metadata as { [NOTES]?: FieldNotes };
  if (!Object.hasOwn(metadata, NOTES)) metadata[NOTES] = fresh();
  return metadata[NOTES]!;
}

/** The notes of a class, or `undefined`. `claim` takes those that no metadata could carry. */
export function takeNotes(
  ctor: abstract new (...args: never[]) => object,
  context?: StandardContext,
): FieldNotes | undefined {
  const found = [
    byPrototype.get(ctor.prototype as object),
    ownNotes(
      context?.metadata ?? (Object.getOwnPropertyDescriptor(ctor, METADATA)?.value as object | undefined),
    ),
    context !== undefined ? unclaimed : undefined,
  ].filter((notes) => notes !== undefined);
  if (context !== undefined) unclaimed = undefined;
  if (found.length === 0) return undefined;
  const all = fresh();
  for (const notes of found) {
    for (const [name, init] of notes.transients) all.transients.set(name, init);
    for (const [name, type] of notes.types) all.types.set(name, type);
  }
  return all;
}

/** Notes a field that is never saved. */
export function noteTransient(notes: FieldNotes, name: string, init: TransientInit): void {
  notes.transients.set(name, init);
}

/** Notes how a field is written. */
export function noteType(notes: FieldNotes, name: string, type: FieldType): void {
  notes.types.set(name, type);
}

function ownNotes(metadata: object | undefined): FieldNotes | undefined {
  return metadata && Object.hasOwn(metadata, NOTES)
    ? (metadata as { [NOTES]?: FieldNotes })[NOTES]
    : undefined;
}

function fresh(): FieldNotes {
  return { transients: new Map(), types: new Map() };
}

function remember(map: WeakMap<object, FieldNotes>, key: object, notes: FieldNotes): FieldNotes {
  map.set(key, notes);
  return notes;
}

/** Node 20 and 22 have no `Symbol.metadata`; compilers look for it, esbuild falls back on this very symbol. */
function ensureMetadataSymbol(): symbol {
  const holder = Symbol as unknown as { metadata?: symbol };
  if (holder.metadata === undefined) {
    Object.defineProperty(Symbol, 'metadata', { value: Symbol.for('Symbol.metadata') });
  }
  return holder.metadata!;
}
