import type { Storage, TransactionInfo } from '../../storage/index';
import { integerArgument, WireTypeError } from '../wire/arguments';
import { extensionDict, undoEntryToWire } from '../wire/metadata';
import { tuple, WireObject, WireTuple, type WireValue } from '../wire/values';

/**
 * The transactions that can be undone, as `undoLog` and `undoInfo` list them; with a filter those whose entry has all its
 * items. A storage without undo has none.
 */
export function undoInfo(
  storage: Storage,
  first: WireValue | undefined,
  last: WireValue | undefined,
  filter: WireValue,
): WireValue {
  if (!storage.undoLog) return tuple();
  const from = integerArgument(first, 'The first index');
  const to = integerArgument(last, 'The last index');
  const takes = filter === null ? undefined : makeFilter(filter);
  return storage
    .undoLog(from, to, takes)
    .map((info) => undoEntryToWire(info, info.length ?? sizeOfMeta(info)));
}

function makeFilter(filter: WireValue): (info: TransactionInfo) => boolean {
  if (!(filter instanceof Map)) throw new WireTypeError('The filter must be a dict.');
  const wanted = [...(filter as Map<WireValue, WireValue>)];
  return (info) => {
    const items = extensionDict(info.meta);
    return wanted.every(([key, value]) => {
      if (key === 'user_name') return matches(info.meta.userBytes, value);
      if (key === 'description') return matches(info.meta.descriptionBytes, value);
      return matches(items.get(key), value);
    });
  };
}

function matches(found: WireValue | undefined, wanted: WireValue): boolean {
  if (wanted instanceof WireObject) return matchesPrefix(found, wanted);
  if (wanted instanceof Uint8Array || found instanceof Uint8Array) {
    return found !== undefined && textOf(found) === textOf(wanted);
  }
  return found === wanted;
}

/** A path that begins with the prefix, on the boundary of a part (`ZopeUndo/Prefix.py`). */
function matchesPrefix(found: WireValue | undefined, prefix: WireObject): boolean {
  const state = prefix.state instanceof Map ? prefix.state : undefined;
  const path = textOf(
    state?.get('value') ?? (prefix.args instanceof WireTuple ? prefix.args.items[0] : null),
  );
  const text = textOf(found);
  return (
    text !== undefined && path !== undefined && `${text}/`.startsWith(path.endsWith('/') ? path : `${path}/`)
  );
}

function textOf(value: WireValue | undefined): string | undefined {
  if (typeof value === 'string') return value;
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : undefined;
}

/** Bytes of the transaction's metadata, for storages that do not tell how much it wrote. */
function sizeOfMeta({ meta }: TransactionInfo): number {
  return meta.userBytes.length + meta.descriptionBytes.length + meta.extensionBytes.length;
}
