import { className } from '../../record/index';

/** The class metadata of a blob's record are within its first bytes. */
const LOOK_AT = 64;

/** Whether a record is that of a blob, whose content is a file. */
export function isBlob(record: Uint8Array): boolean {
  const start = Buffer.from(record.buffer, record.byteOffset, Math.min(record.length, LOOK_AT));
  if (!start.includes('ZODB.blob', 0, 'latin1')) return false;
  try {
    return className(record) === 'ZODB.blob.Blob';
  } catch {
    // It only looked like one.
    return false;
  }
}
