/** Reads what is meant to be a text as one, with a warning where it isn't: as Python's transactions do. */
export function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  process.emitWarning(`A transaction's ${what} should be a text, not ${typeof value}.`, {
    type: 'DeprecationWarning',
    code: 'ZODB_TRANSACTION_TEXT',
  });
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value);
}
