/** A storage that writes down which calls its instances get, over one that does the work. */
import type { Storage, StorageInstance } from '../../src/storage/index';

const SILENT = new Set<string | symbol>(['removals', 'suspend', 'release', 'newOid', 'blobDirectory']);

/** What is shown of a call's arguments: oids. */
function shown(args: readonly unknown[]): string {
  const oids = Array.isArray(args[0])
    ? (args[0] as unknown[])
    : args.filter((arg) => typeof arg === 'number').slice(0, 1);
  return oids.length ? ` ${oids.join(',')}` : '';
}

interface Interference {
  readonly faults: Map<string, Error>;
  readonly hooks: Map<string, () => void>;
}

function recording<T extends object>(
  target: T,
  name: string,
  log: string[],
  { faults, hooks }: Interference,
): T {
  return new Proxy(target, {
    get(at, key): unknown {
      const value: unknown = Reflect.get(at, key, at);
      if (typeof value !== 'function' || typeof key === 'symbol') return value;
      return (...args: unknown[]): unknown => {
        if (!SILENT.has(key)) log.push(`${name}.${key}${shown(args)}`);
        const fault = faults.get(key);
        if (fault) throw fault;
        runOnce(hooks, `before ${key}`);
        const result = (value as (...all: unknown[]) => unknown).apply(at, args);
        runOnce(hooks, `after ${key}`);
        return result;
      };
    },
  });
}

/** What a hook does may call the storage itself. */
function runOnce(hooks: Map<string, () => void>, name: string): void {
  const hook = hooks.get(name);
  if (!hook) return;
  hooks.delete(name);
  hook();
}

export interface Recorded {
  readonly storage: Storage;
  /** Calls of instances, as `2.store 1`: the number of the instance, and oids. */
  readonly log: string[];
  /** Calls that shall fail. */
  readonly faults: Map<string, Error>;
  /** What else is to happen, once, `before store` or `after tpcVote`. */
  readonly hooks: Map<string, () => void>;
  /** The calls since the last time. */
  taken(): string[];
}

export function recordCalls(storage: Storage): Recorded {
  const log: string[] = [];
  const faults = new Map<string, Error>();
  const hooks = new Map<string, () => void>();
  let instances = 0;
  const recorded = new Proxy(storage, {
    get(at, key): unknown {
      const value: unknown = Reflect.get(at, key, at);
      if (typeof value !== 'function') return value;
      if (key === 'newInstance') {
        return (...args: Parameters<Storage['newInstance']>): StorageInstance =>
          recording(at.newInstance(...args), String(++instances), log, {
            faults,
            hooks,
          });
      }
      return (value as (...all: unknown[]) => unknown).bind(at);
    },
  });
  return { storage: recorded, log, faults, hooks, taken: () => log.splice(0) };
}
