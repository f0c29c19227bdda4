import Table from 'cli-table3';
import { PickleError } from '../pickle/index';
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

/** The message, and what to do about a record that some storage wrapped: it fails in its first two bytes. */
export function explain(error: Error): string {
  const { message } = error;
  return error instanceof PickleError && error.offset <= 1
    ? `${message}. Was the record compressed or encrypted? Such a database opens as zlib:PATH or encrypted:PATH.`
    : message;
}

/** A database as it was named, without a password: what commands print goes into logs. */
export function withoutPassword(url: string): string {
  return url
    .replace(/^((?:[a-z][a-z0-9+.-]*:)+\/\/[^:/?@]*):[^/?]*@/i, '$1@')
    .replace(/([?&]password=)[^&]*/gi, '$1…');
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

/** What a check found, for {@link printFacts}: how many problems, and each in a line. */
export function problemFacts({ colors }: Context, problems: readonly string[]): [string, string][] {
  const count = problems.length === 0 ? colors.green('none') : colors.red(formatCount(problems.length));
  return [['problems', count], ...problems.map((problem): [string, string] => ['', oneLine(problem)])];
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
  const cells = rows.map((row) => columns.map((name) => oneLine(row[name])));
  const colWidths = context.width === undefined ? [] : fit(columns, cells, context.width);
  const head = columns.map((name) => context.colors.bold(name));
  const table = new Table({ ...PLAIN, head, colAligns, colWidths });
  table.push(...cells);
  context.out(`${table.toString().replace(/ +$/gm, '')}\n`);
}

/** Columns that can be cut, to no less than so many characters; an oid or a time is of no use without its end. */
const CUT: ReadonlySet<string> = new Set(['user', 'description', 'class', 'by', 'fields']);
const LEAST_WIDTH = 12;
const GAP = 2;

/** Widths of columns that fit a terminal, where cutting helps: the widest gives way first. */
function fit(columns: readonly string[], cells: readonly (readonly string[])[], width: number): number[] {
  const widths = columns.map((name, column) =>
    Math.max(stringWidth(name), ...cells.map((line) => stringWidth(line[column]!))),
  );
  const room = (column: number): number => (CUT.has(columns[column]!) ? widths[column]! - LEAST_WIDTH : 0);
  let excess = widths.reduce((sum, each) => sum + each + GAP, -GAP) - width;
  for (; excess > 0; excess--) {
    const [widest] = [...widths.keys()].filter((at) => room(at) > 0).sort((a, b) => widths[b]! - widths[a]!);
    if (widest === undefined) break;
    widths[widest]!--;
  }
  return widths;
}

/** Columns that a text takes at a terminal: East Asian characters and pictures take two. */
function stringWidth(text: string): number {
  let width = 0;
  for (const character of text) width += WIDE.test(character) ? 2 : 1;
  return width;
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

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
