/**
 * Whether a record is that of a blob, whose content is a file. Asked of every record that a pack drops, so it looks at the first bytes
 * only: `ZODB.blob Blob` as a GLOBAL (protocols up to 3), alone or in a tuple, or as a STACK_GLOBAL (from 4 on).
 */
export function isBlob(record: Uint8Array): boolean {
  // A GLOBAL is the shortest form.
  if (record.length < 20) return false;
  const start = Buffer.from(record.buffer, record.byteOffset, Math.min(record.length, 48)).toString('latin1');
  return BLOB_CLASS.test(start);
}

const PROTO = '(\\u0080.)?';
const FRAME = '(\\u0095.{8})?';
const GLOBAL = 'cZODB\\.blob\\nBlob\\n';
const STACK_GLOBAL = '\\u008c\\u0009ZODB\\.blob\\u0094?\\u008c\\u0004Blob\\u0094?\\u0093';
const BLOB_CLASS = new RegExp(`^${PROTO}${FRAME}\\(?(${GLOBAL}|${STACK_GLOBAL})`, 's');
