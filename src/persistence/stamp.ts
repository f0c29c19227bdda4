/**
 * The mark of a persistent object: a `#private` field that only this file can see, so that no copy, proxy or heir of an object has it by accident.
 * It holds the object's {@link ObjectRecord}.
 */
import { MAX_TID, ROOT_OID, ZERO_TID, type Oid, type Tid } from '../ids';
import { keepSpecimen } from '../specimens';
import { anchored } from './anchor';
import type { Layout } from './class-model';
import type { ObjectCacheImpl } from './cache';
import type { Note } from './exposure';

/** What an object's {@link ObjectRecord} says of its state. Up to `unsaved` it is in memory and in place. */
export const Status = {
  /** As stored. */
  saved: 0,
  /** As it was written for the commit or savepoint under way: what changes from here on is the next transaction's. */
  storing: 1,
  /** Differs from what is stored, or was never stored; its cache lists it. */
  changed: 2,
  /** Belongs to no jar (any more): an ordinary object that happens to have tracked fields. */
  unsaved: 3,
  /** Set aside; put back at the next touch. */
  probation: 4,
  /** Not in memory. */
  ghost: 5,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

/** Where an object stands in the order of eviction: one of the first three, and flags, also of what happened to it. */
export const Place = {
  none: 0,
  /** among the loaded ones, oldest first */
  line: 1,
  /** among those set aside in the last round */
  probation: 2,
  /** mask of the above */
  queue: 3,
  /** flag: counts as loaded */
  counted: 4,
  /** flag: was converted in place, and is only held while others hold it (see v8.ts) */
  loose: 8,
  /** flag: stands in its cache's list of watched objects */
  watched: 16,
  /** flag: its fields were turned into tracked ones in place */
  adopted: 32,
  /** flag: nobody added it, its cache's objects refer to it */
  reached: 64,
  /** flag: new, and listed to be saved */
  queued: 128,
} as const;

/**
 * The fields of an object, by slot. Slot 0 holds the {@link Layout}: an object there keeps all states of one kind of elements, so that
 * accessors see one map.
 */
export type State = [layout: Layout, ...values: unknown[]];

/** What the machinery knows of one object. Small: there is one for each object in memory. */
export class ObjectRecord {
  state: State;
  status: Status;
  /** Bit n: what slot n holds may be handed out as it is (an object followed, a plain value that is watched). */
  ready = 0;
  oid: Oid | undefined;
  cache: ObjectCacheImpl | undefined;
  serial: Tid = ZERO_TID;
  /** Plain values that the program may hold, as they were: a list. */
  watch: Note | undefined = undefined;
  /** The state while on probation. */
  aside: State | undefined = undefined;
  /** Length of the stored record in bytes. */
  size = 0;
  /** How many of its fields can't be taken off any more. */
  firm = 0;
  /** In which of its cache's queues the object stands. */
  place: number = Place.none;

  constructor(state: State, status: Status, oid: Oid | undefined, cache: ObjectCacheImpl | undefined) {
    this.state = state;
    this.status = status;
    this.oid = oid;
    this.cache = cache;
  }
}

/** A record of which everything was changed once: V8 takes for constant what was not, and forgets code when it does change. */
function changedRecord(): ObjectRecord {
  const states = [0, 1].map((): State => [undefined as unknown as Layout]);
  const record = new ObjectRecord(states[0]!, Status.ghost, undefined, undefined);
  record.state = states[1]!;
  record.aside = states[0];
  record.aside = undefined;
  record.oid = ROOT_OID;
  record.serial = MAX_TID;
  record.cache = Object.create(null) as ObjectCacheImpl;
  record.watch = Object.create(null) as Note;
  record.cache = record.watch = undefined;
  record.status = Status.saved;
  record.ready = record.size = record.firm = record.place = 1;
  return record;
}

keepSpecimen(changedRecord());

type Compiled = (...args: unknown[]) => unknown;

interface Stamps {
  /** Marks an object, once. Throws a TypeError when it can't be extended (by Node's rules only from 24 on) or has a mark. */
  put(object: object, record: ObjectRecord): void;
  has(object: object): boolean;
  of(object: object): ObjectRecord | undefined;
  /** As `of`, for an object that certainly has one. */
  get(object: object): ObjectRecord;
  /** Compiles code that may use `#record`. */
  compile(source: string): Compiled;
}

/** Returns its argument as `this`, so that a subclass puts its private fields onto any object. */
class Identity {
  constructor(object: object) {
    return object;
  }
}

function makeStamps(): Stamps {
  class Stamp extends Identity {
    #record: ObjectRecord;

    constructor(object: object, record: ObjectRecord) {
      super(object);
      this.#record = record;
    }

    static has(object: object): boolean {
      return #record in object;
    }

    static of(object: object): ObjectRecord | undefined {
      return #record in object ? object.#record : undefined;
    }

    static get(object: object): ObjectRecord {
      return (object as Stamp).#record;
    }

    /** Direct `eval`, because only code inside this class's braces sees `#record`, and shared accessors cost four times as much. */
    static compile(source: string): Compiled {
      return eval(source) as Compiled;
    }
  }
  return {
    put: (object, record) => void new Stamp(object, record),
    has: Stamp.has,
    of: Stamp.of,
    get: Stamp.get,
    compile: Stamp.compile,
  };
}

const stamps = anchored('stamps', makeStamps);

/** Objects that were added, so have an oid, and are ordinary still: the mark would spoil their map if it came before the fields. */
const pending = anchored('pending', () => new WeakMap<object, ObjectRecord>());

/** Marks an object for good. */
export function stamp(object: object, record: ObjectRecord): void {
  stamps.put(object, record);
  pending.delete(object);
}

/** As {@link stamp}, for an object that was just made. */
export const stampNew = stamps.put;

/** A record for a new object, which is known by it until it is stamped. */
export function pendingRecord(object: object, state: State): ObjectRecord {
  const record = new ObjectRecord(state, Status.unsaved, undefined, undefined);
  pending.set(object, record);
  return record;
}

/** Forgets the record of a new object. */
export function dropPending(object: object): void {
  pending.delete(object);
}

/** Whether an object is stamped. */
export const isStamped = stamps.has;
/** The record of a stamped object: one whose fields are tracked, or a managed one. */
export const stampOf = stamps.of;
/** As {@link stampOf}, for an object that certainly is stamped. */
export const stampedRecord = stamps.get;
export const compileStamped = stamps.compile;

/** The record of any object that has one. */
export function recordOf(object: object): ObjectRecord | undefined {
  return stamps.of(object) ?? pending.get(object);
}
