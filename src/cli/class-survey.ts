import { StoredReference } from '../record/index';

/** A class as its objects show it. */
export interface SurveyedClass {
  readonly module: string;
  readonly name: string;
  objects: number;
  /** Names of fields with the types of values met, written as TypeScript. */
  readonly fields: Map<string, Set<string>>;
  /** Fields that some objects lack. */
  readonly optional: Set<string>;
  looked: number;
  /** Objects looked at whose state is no set of fields. */
  opaque: number;
}

/** Collects classes and fields from states. */
export class ClassSurvey {
  readonly #found = new Map<string, SurveyedClass>();

  /** Sorted by module and name. */
  get classes(): SurveyedClass[] {
    return [...this.#found.values()].sort((a, b) =>
      `${a.module}.${a.name}` < `${b.module}.${b.name}` ? -1 : 1,
    );
  }

  add(module: string, name: string, stored: unknown, sample: number): void {
    const key = `${module}.${name}`;
    let entry = this.#found.get(key);
    if (entry === undefined) {
      entry = { module, name, objects: 0, looked: 0, opaque: 0, fields: new Map(), optional: new Set() };
      this.#found.set(key, entry);
    }
    entry.objects++;
    if (entry.looked >= sample) return;
    const state = fieldsOf(stored);
    if (state === undefined) {
      if (stored !== null) entry.opaque++;
      return;
    }
    entry.looked++;
    const names = Object.keys(state);
    for (const field of names) {
      const known = entry.fields.get(field);
      if (known === undefined) {
        entry.fields.set(field, new Set([typeOf(state[field], 2)]));
        if (entry.looked > 1) entry.optional.add(field);
      } else {
        known.add(typeOf(state[field], 2));
      }
    }
    for (const field of entry.fields.keys()) if (!names.includes(field)) entry.optional.add(field);
  }
}

/** The fields of a state: those of a dict, or of a dict (or none) and of Python's `__slots__`. */
function fieldsOf(state: unknown): Record<string, unknown> | undefined {
  if (isFields(state)) return state;
  if (!Array.isArray(state) || !Object.isFrozen(state) || state.length !== 2) return undefined;
  const [dict, slots] = state as unknown[];
  return isFields(slots) && (dict === null || isFields(dict)) ? { ...dict, ...slots } : undefined;
}

function isFields(state: unknown): state is Record<string, unknown> {
  return typeof state === 'object' && state !== null && Object.getPrototypeOf(state) === Object.prototype;
}

/** The type of a stored value; containers are looked into `depth` levels deep. */
function typeOf(value: unknown, depth: number): string {
  if (value === null) return 'null';
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol') return 'unknown';
  if (typeof value !== 'object') return typeof value;
  if (value instanceof StoredReference) return referenceType(value);
  if (depth === 0) return 'unknown';
  if (Array.isArray(value)) {
    const inner = union(value.slice(0, 100).map((item) => typeOf(item, depth - 1)));
    return Object.isFrozen(value) ? `readonly ${brackets(inner)}[]` : `${brackets(inner)}[]`;
  }
  if (value instanceof Map) {
    const entries = [...(value as Map<unknown, unknown>)].slice(0, 100);
    return `Map<${union(entries.map(([key]) => typeOf(key, depth - 1)))}, ${union(entries.map(([, item]) => typeOf(item, depth - 1)))}>`;
  }
  if (value instanceof Set)
    return `Set<${union([...(value as Set<unknown>)].slice(0, 100).map((item) => typeOf(item, depth - 1)))}>`;
  if (value instanceof Date) return 'Date';
  if (value instanceof Uint8Array) return 'Uint8Array';
  if (isFields(value))
    return `Record<string, ${union(
      Object.values(value)
        .slice(0, 100)
        .map((item) => typeOf(item, depth - 1)),
    )}>`;
  return 'unknown';
}

function referenceType({ kind, cls }: StoredReference): string {
  if (cls === undefined) return 'object';
  return kind === 'weak' ? 'unknown' : referenceMark(`${cls.module}.${cls.name}`);
}

/** Stands for a class in a type. A name comes from the database and can be any text, so it is written as hexadecimal digits. */
function referenceMark(name: string): string {
  return `@${Buffer.from(name).toString('hex')}`;
}

/** Puts in a type what each mark of a class stands for. */
export function replaceReferences(type: string, replace: (name: string) => string): string {
  return type.replace(/@([0-9a-f]+)/g, (_, mark: string) => replace(Buffer.from(mark, 'hex').toString()));
}

/** Types joined by `|`, each once. */
export function union(types: Iterable<string>): string {
  const once = [...new Set(types)].sort();
  return once.length === 0 ? 'unknown' : once.join(' | ');
}

function brackets(type: string): string {
  return type.includes(' ') ? `(${type})` : type;
}
