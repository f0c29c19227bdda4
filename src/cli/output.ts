import Table from 'cli-table3';
import type { Context } from './context';

/** Numbers for people: `1,234,567`. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

/** Bytes for people: `12.3 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return unit === 0 ? `${bytes} bytes` : `${value.toFixed(1)} ${units[unit]}`;
}

/** One result: JSON for programs, lines `name  value` for people. */
export function printFacts(context: Context, json: object, facts: readonly [string, string][]): void {
  if (context.json) {
    context.out(`${JSON.stringify(json)}\n`);
    return;
  }
  const width = Math.max(...facts.map(([name]) => name.length));
  for (const [name, value] of facts) context.out(`${context.colors.dim(name.padEnd(width))}  ${value}\n`);
}

/** Columns without lines: they are read as well, and `awk` and `sort` can work on them. */
const PLAIN = {
  chars: Object.fromEntries(
    ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right']
      .concat(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'])
      .map((place) => [place, place === 'middle' ? '  ' : '']),
  ),
  style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
};

/**
 * Many results: a JSON array, or a table.
 * @param none what people are told when there are none
 */
export function printRows(
  context: Context,
  rows: readonly Record<string, unknown>[],
  columns: readonly string[],
  none = 'Nothing found.',
): void {
  if (context.json) {
    context.out(`${JSON.stringify(rows)}\n`);
    return;
  }
  if (rows.length === 0) {
    context.out(`${none}\n`);
    return;
  }
  const colAligns = columns.map((name) =>
    rows.every((row) => isQuantity(row[name])) ? ('right' as const) : ('left' as const),
  );
  const table = new Table({ ...PLAIN, head: columns.map((name) => context.colors.bold(name)), colAligns });
  for (const row of rows) table.push(columns.map((name) => oneLine(row[name])));
  context.out(`${table.toString().replace(/ +$/gm, '')}\n`);
}

/** A number, or one with a unit. */
function isQuantity(value: unknown): boolean {
  return (
    typeof value === 'number' || (typeof value === 'string' && /^[\d,.]+( bytes| [kMGT]B)?$/.test(value))
  );
}

/** One line: a description may have several, and control characters too. */
export function oneLine(value: unknown): string {
  return String(value ?? '').replace(/\p{Cc}+/gu, ' ');
}
