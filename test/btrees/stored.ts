/** Records of Python, put where a connection can load them. */
import { oidFromBytes, type Oid, type Tid } from '../../src/ids';
import { MapJar, Records } from '../persistence/map-jar';

/** An oid as fixtures write it: 16 hexadecimal digits. */
export function oidOfHex(hex: string): Oid {
  return oidFromBytes(Buffer.from(hex, 'hex'));
}

/** An oid in the notation of fixtures. */
export function hexOfOid(oid: Oid): string {
  return oid.toString(16).padStart(16, '0');
}

/** Records, all of one transaction. */
export function recordsOf(entries: Iterable<readonly [oid: Oid, data: Uint8Array]>): Records {
  const records = new Records();
  records.lastTid = 1n as Tid;
  for (const [oid, data] of entries) {
    records.revisions.set(oid, [{ data, serial: 1n as Tid }]);
    records.nextOid = Math.max(records.nextOid, oid + 1);
  }
  records.log.push({ tid: 1n as Tid, oids: [...records.revisions.keys()] });
  return records;
}

/** A jar over records in base64, by oid. */
export function jarOf(records: Records): MapJar {
  return new MapJar(records, { targetCount: 100_000 });
}
