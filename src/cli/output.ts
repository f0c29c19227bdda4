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
  for (const [name, value] of facts) context.out(`${name.padEnd(width)}  ${value}\n`);
}

/** Many results: a JSON array, or a table. */
export function printRows(
  context: Context,
  rows: readonly Record<string, unknown>[],
  columns: readonly string[],
): void {
  if (context.json) {
    context.out(`${JSON.stringify(rows)}\n`);
    return;
  }
  if (rows.length === 0) {
    context.out('Nothing found.\n');
    return;
  }
  const table = new Table({ head: [...columns], style: { head: [], border: [] } });
  for (const row of rows) table.push(columns.map((name) => String(row[name] ?? '')));
  context.out(`${table.toString()}\n`);
}
