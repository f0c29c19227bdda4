/** States of older records: defaults for fields they lack, and the class's own upgrade. */
import { ZodbError } from '../errors';
import type { Oid } from '../ids';
import { FieldKind, FieldList } from '../record/index';
import type { ObjectCacheImpl } from './cache';
import { VERSION_KEY, type ClassModel } from './class-model';
import { ObjectLoadError } from './errors';
import { ForeignRef, Ref } from './ref';

interface Fields {
  readonly fields: FieldList;
  readonly values: unknown[];
}

/** A record's fields as the class wants them today. Nothing is marked changed. */
export function upgradeState(
  cache: ObjectCacheImpl,
  model: ClassModel,
  oid: Oid,
  fields: FieldList,
  values: unknown[],
): Fields {
  let current: Fields = { fields, values };
  const { version, upgrade, defaults } = model.options;
  if (version !== undefined) {
    const at = fields.indexOf(VERSION_KEY);
    const stored = at < 0 ? 0 : values[at];
    if (typeof stored !== 'number' || stored > version) {
      throw new ObjectLoadError(
        oid,
        model.ctor.name,
        `its state has version ${String(stored)}, this program knows versions up to ${String(version)}; use a newer program.`,
      );
    }
    if (stored < version && upgrade !== undefined)
      current = upgraded(cache, model, oid, current, stored, upgrade);
  }
  return defaults === undefined ? current : withDefaults(current, defaults());
}

function upgraded(
  cache: ObjectCacheImpl,
  model: ClassModel,
  oid: Oid,
  before: Fields,
  from: number,
  upgrade: NonNullable<ClassModel['options']['upgrade']>,
): Fields {
  const state = asObject(cache, before);
  let result: Record<string, unknown>;
  try {
    result = upgrade(state, from) ?? state;
  } catch (error) {
    if (error instanceof ZodbError) throw error;
    throw new ObjectLoadError(
      oid,
      model.ctor.name,
      `its upgrade from version ${String(from)} failed: ${String(error)}`,
      {
        cause: error,
      },
    );
  }
  let fields = FieldList.empty;
  const values: unknown[] = [];
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(result))) {
    const at = before.fields.indexOf(name);
    fields = fields.with(name, at < 0 ? FieldKind.auto : before.fields.kinds[at]!);
    values.push(descriptor.get === undefined ? descriptor.value : raw.get(descriptor.get));
  }
  return { fields, values };
}

/** References behind the accessors of a state under upgrade. */
const raw = new WeakMap<() => unknown, unknown>();

/** A state as a plain object; a reference is followed when the upgrade looks at it. */
function asObject(cache: ObjectCacheImpl, { fields, values }: Fields): Record<string, unknown> {
  const state: Record<string, unknown> = {};
  fields.names.forEach((name, i) => {
    if (name === VERSION_KEY || name === '__proto__') return;
    const value = values[i];
    if (!(value instanceof Ref || value instanceof ForeignRef)) {
      state[name] = value;
      return;
    }
    const get = (): unknown => cache.follow(value);
    raw.set(get, value);
    const set = (next: unknown): void => {
      Object.defineProperty(state, name, {
        value: next,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    };
    Object.defineProperty(state, name, { get, set, enumerable: true, configurable: true });
  });
  return state;
}

function withDefaults({ fields, values }: Fields, defaults: object): Fields {
  let all = fields;
  const filled = values;
  for (const [name, value] of Object.entries(defaults)) {
    if (fields.indexOf(name) >= 0) continue;
    all = all.with(name, FieldKind.auto);
    filled.push(value);
  }
  return { fields: all, values: filled };
}
