/** Walks a chain of as many objects as the first argument says, in one synchronous job. Run under a small heap by `scan.test.ts`. */
import { POSKeyError } from '../../../src/errors';
import type { Oid, Tid } from '../../../src/ids';
import {
  createCache,
  type Jar,
  type LoadedRecord,
  persistent,
  Ref,
  registry,
} from '../../../src/persistence/index';
import { ClassMeta, FieldList, RecordWriter } from '../../../src/record/index';

class Link {
  n = 0;
  name = '';
  next: Link | null = null;
}
persistent('scan.Link')(Link);

const meta = ClassMeta.of('scan', 'Link');
const fields = FieldList.of(['n', 'name', 'next']);
const writer = new RecordWriter({ reference: (object) => (object instanceof Ref ? object : undefined) });

/** A database of endless objects, made as they are asked for. */
class Endless implements Jar {
  readonly registry = registry;
  readonly databaseName = 'endless';
  readonly cache = createCache(this, { targetCount: 10_000 });

  load(oid: Oid): LoadedRecord {
    if (oid > count) throw new POSKeyError(oid);
    const next = oid < count ? new Ref((oid + 1) as Oid, meta) : null;
    return { data: writer.writeFields(meta, fields, [oid, `object ${oid}`, next]), serial: 1n as Tid };
  }

  loadMany(oids: readonly Oid[]): LoadedRecord[] {
    return oids.map((oid) => this.load(oid));
  }

  newOid(): Oid {
    throw new Error('read-only');
  }

  objectChanged(): void {
    throw new Error('read-only');
  }

  sibling(): never {
    throw new Error('there is no other');
  }

  readCurrent(): void {}
  warn(): void {}
}

const count = Number(process.argv[2]);
const jar = new Endless();
let sum = 0;
let seen = 0;
for (let at: Link | null = jar.cache.get(1 as Oid) as Link; at !== null; at = at.next) {
  sum += at.n;
  seen += 1;
}
const { loaded } = jar.cache.statistics;
process.stdout.write(JSON.stringify({ seen, sum, loaded, heap: process.memoryUsage().heapUsed }));
