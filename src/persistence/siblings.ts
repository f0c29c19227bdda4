/**
 * Objects that were loaded together are often followed one after the other, each through the same field. Whoever did so with two of them gets
 * what the next ones refer to in one batch with the second one's, in steps that double: so at most as much again is loaded as was asked for, and little
 * beside the first. Whoever did so with all of them is expected to do the same with as many of the next group that is like them.
 */
import type { Oid } from '../ids';
import { keepSpecimen } from '../specimens';
import type { ClassModel } from './class-model';
import { ForeignRef, Ref } from './ref';
import { recordOf, stampOf, Status } from './stamp';

/** So many groups are remembered, or up to twice as many: a group's members may lead to others. */
const DEPTH = 4;
/** Larger groups would keep many objects alive. */
const LARGEST_GROUP = 1000;
/** Members in the first batch. */
const FIRST_STEP = 8;
/** Most objects, and bytes, loaded ahead in one batch. */
const MOST_OBJECTS = 512;
const MOST_BYTES = 0x10_0000;

const NOTHING: readonly unknown[] = [];

/** Objects that were loaded together, and how far they were followed. */
class Group {
  readonly objects: readonly object[];
  /** The member that was followed last; -1 before the first. */
  at = -1;
  /** The one behind it; `undefined` behind the last. */
  next: object | undefined;
  /** The field that they are followed through, and the member where that began. */
  slot = 0;
  since = 0;
  /** Members up to here are loaded ahead. */
  until = 0;
  step = FIRST_STEP;
  below: Group | undefined;

  constructor(objects: readonly object[], below: Group | undefined) {
    this.objects = objects;
    this.next = objects[0];
    this.below = below;
  }
}

keepSpecimen(new Group([], undefined));

/** The groups of one cache, the latest on top. */
export class Siblings {
  #top: Group | undefined = undefined;
  #depth = 0;
  /** The group that was followed to its end last, until the next one was taken for its like: class, field, number of members. */
  #model: ClassModel | undefined = undefined;
  #slot = 0;
  #count = 0;
  /** How many objects were worth to be loaded ahead in it. */
  #most = 0;

  /** These were asked for together. */
  enter(objects: readonly object[]): void {
    if (objects.length < 2 || objects.length > LARGEST_GROUP) return;
    this.#top = new Group(objects, this.#top);
    if (++this.#depth === 2 * DEPTH) this.#forgetOldest();
  }

  clear(): void {
    this.#top = undefined;
    this.#depth = 0;
    this.#model = undefined;
  }

  /**
   * The references in an array, which stands in this slot of `holder`, are about to be followed: what is to be loaded with them, if anything.
   */
  ahead(holder: object, slot: number): Oid[] | undefined {
    let depth = this.#depth;
    for (let group = this.#top; group !== undefined; group = group.below, depth--) {
      if (group.next !== holder) continue;
      const at = (group.at += 1);
      group.next = at + 1 < group.objects.length ? group.objects[at + 1] : undefined;
      // Those above came from the member before.
      this.#top = group;
      this.#depth = depth;
      if (group.slot !== slot) return this.#begin(group, slot);
      if (group.next === undefined && group.since === 0) this.#learn(group);
      return at < group.until
        ? undefined
        : oidsAhead(group, mostLike(valuesOf(group.objects[at - 1]!, slot)));
    }
    return undefined;
  }

  #begin(group: Group, slot: number): Oid[] | undefined {
    group.slot = slot;
    group.since = group.at;
    group.until = 0;
    group.step = FIRST_STEP;
    if (group.at > 0 || this.#slot !== slot || this.#model !== modelOf(group)) return undefined;
    this.#model = undefined;
    group.step = this.#count;
    return oidsAhead(group, this.#most);
  }

  #learn(group: Group): void {
    const { objects, at, slot } = group;
    this.#model = modelOf(group);
    this.#slot = slot;
    this.#count = objects.length;
    this.#most = mostLike(valuesOf(objects[at - 1]!, slot));
  }

  #forgetOldest(): void {
    let last = this.#top!;
    for (let i = 1; i < DEPTH; i++) last = last.below!;
    last.below = undefined;
    this.#depth = DEPTH;
  }
}

/** What the next members refer to. */
function oidsAhead(group: Group, most: number): Oid[] | undefined {
  const { objects, at, slot } = group;
  const end = Math.min(at + group.step, objects.length);
  const model = modelOf(group);
  const oids: Oid[] = [];
  let i = at;
  for (; i < end; i++) {
    const record = stampOf(objects[i]!);
    if (record === undefined || record.status !== Status.saved || record.state[0].model !== model) continue;
    const value = record.state[slot];
    if (!Array.isArray(value)) continue;
    if (i > at && oids.length + value.length > most) break;
    for (const item of value as unknown[]) if (item instanceof Ref) oids.push(item.oid);
  }
  group.until = i;
  group.step *= 2;
  return i === at + 1 ? undefined : oids;
}

/** The class of the member that is followed. */
function modelOf({ objects, at }: Group): ClassModel {
  return recordOf(objects[at]!)!.state[0].model;
}

function valuesOf(object: object, slot: number): readonly unknown[] {
  const values = stampOf(object)?.state[slot];
  return Array.isArray(values) ? (values as unknown[]) : NOTHING;
}

/** How many objects are worth to be loaded ahead when they are as large as these, which were followed before. */
export function mostLike(values: readonly unknown[]): number {
  let bytes = 0;
  for (const item of values) {
    if (typeof item !== 'object' || item === null || item instanceof ForeignRef) continue;
    bytes += recordOf(item)?.size ?? 0;
  }
  return Math.min(MOST_OBJECTS, Math.floor((MOST_BYTES * values.length) / (bytes + 1)));
}
