/**
 * `datetime.timezone.utc` as it stands in a pickle: six calls and names, 45 bytes that every UTC datetime of another record
 * begins with. Taken at one look, a date costs a third.
 */
import { PyTimezone } from './datetime';
import { Global } from './global';
import type { Memo } from './memo';

export const TIMEZONE = Global.of('datetime', 'timezone');
const TIMEDELTA = Global.of('datetime', 'timedelta');
const ZEROS = Object.freeze([0, 0, 0]);
const ARGS = Object.freeze([PyTimezone.utc.offset]);

/** A byte that may be any: a number in the memo. */
const ANY = -1;
/** What follows GLOBAL of the timezone, as protocols 2 and 3 have it: each value with its number in the memo. */
const PATTERN: readonly number[] = [
  ...[0x71, ANY, 0x63, ...Buffer.from('datetime\ntimedelta\n'), 0x71, ANY],
  ...[0x4b, 0, 0x4b, 0, 0x4b, 0, 0x87, 0x71, ANY, 0x52, 0x71, ANY, 0x85, 0x71, ANY, 0x52],
];
const [NAME, DELTA_NAME, DELTA_ARGS, DELTA, TIMEZONE_ARGS] = PATTERN.flatMap((byte, i) =>
  byte === ANY ? [i] : [],
);

/** Whether the opcodes behind the name of the timezone make UTC. */
export function isUtc(buf: Uint8Array, pos: number, end: number): boolean {
  if (pos + PATTERN.length > end) return false;
  for (let i = 0; i < PATTERN.length; i++) {
    const byte = PATTERN[i]!;
    if (byte !== ANY && buf[pos + i] !== byte) return false;
  }
  return true;
}

/** Puts the parts into the memo as the opcodes say, and gives the position behind them. */
export function putUtc(buf: Uint8Array, pos: number, memo: Memo): number {
  memo.put(buf[pos + NAME!]!, TIMEZONE);
  memo.put(buf[pos + DELTA_NAME!]!, TIMEDELTA);
  memo.put(buf[pos + DELTA_ARGS!]!, ZEROS);
  memo.put(buf[pos + DELTA!]!, PyTimezone.utc.offset);
  memo.put(buf[pos + TIMEZONE_ARGS!]!, ARGS);
  return pos + PATTERN.length;
}
