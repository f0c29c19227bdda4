import type { Colors } from 'picocolors/types';
import { oneLine } from './output';

const LEVELS: readonly (readonly [least: number, name: string, color: 'dim' | 'green' | 'yellow' | 'red'])[] =
  [
    [50, 'error', 'red'],
    [40, 'warn', 'yellow'],
    [30, 'info', 'green'],
    [0, 'debug', 'dim'],
  ];

/** What every line of one process has in common. */
const REPEATED: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'hostname', 'name', 'msg']);

/** A destination for pino at a terminal: `12:30:01 info  registered  client=127.0.0.1:4242` instead of JSON. */
export function logLines(colors: Colors, out: (text: string) => void): { write(json: string): void } {
  return {
    write(json) {
      const entry = JSON.parse(json) as Record<string, unknown> & {
        level: number;
        time: number;
        msg?: string;
      };
      const [, name, color] = LEVELS.find(([least]) => entry.level >= least)!;
      const fields = Object.entries(entry)
        .filter(([key]) => !REPEATED.has(key))
        .map(
          ([key, value]) =>
            `${colors.dim(`${key}=`)}${oneLine(typeof value === 'string' ? value : JSON.stringify(value))}`,
        );
      const time = new Date(entry.time).toTimeString().slice(0, 8);
      out(
        `${colors.dim(time)} ${colors[color](name.padEnd(5))} ${[oneLine(entry.msg), ...fields].join('  ')}\n`,
      );
    },
  };
}
