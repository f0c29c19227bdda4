/** What a record holds, as JSON: states have cycles, and values that `JSON.stringify` shows as nothing. */
import { types } from 'node:util';

/**
 * JSON of decoded values. Bigints become text, sets `{ $set: […] }`, Maps `{ $map: [[key, value], …] }`; where a value comes again inside of itself, `{ $again: n }` says that it is
 * the one `n` levels up.
 */
export function stateJson(root: object): string {
  // What is being shown: as it is, and as it is shown, which is what JSON.stringify takes the next ones out of.
  const above: { readonly value: unknown; readonly shown: unknown }[] = [];
  return JSON.stringify(root, function (this: Record<string, unknown>, key: string, json: unknown): unknown {
    if (typeof json === 'bigint') return String(json);
    if (typeof json !== 'object' || json === null) return json;
    while (above.length > 0 && above.at(-1)!.shown !== this) above.pop();
    // Before toJSON(), which may give another object each time.
    const value = this[key];
    const at = above.findIndex((each) => each.value === value);
    if (at >= 0) return { $again: above.length - at };
    const shown = shownAs(json);
    above.push({ value, shown });
    return shown;
  });
}

function shownAs(json: object): object {
  if (types.isMap(json)) return { $map: [...json] };
  if (types.isSet(json)) return { $set: [...json] };
  return json;
}
