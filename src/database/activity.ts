import { InvalidArgumentError } from '../errors';

/** One interval of {@link ActivityMonitor.analysis}. */
export interface Activity {
  readonly start: Date;
  readonly end: Date;
  readonly loads: number;
  readonly stores: number;
  /** Connections closed in the interval. */
  readonly connections: number;
}

interface Entry {
  readonly time: number;
  readonly loads: number;
  readonly stores: number;
}

/** Counts loads and stores of closed connections over the last while (`ZODB/src/ZODB/ActivityMonitor.py`). */
export class ActivityMonitor {
  #historyLength: number;
  #entries: Entry[] = [];

  /** @param historyLength how far back it remembers, in seconds */
  constructor(historyLength = 3600) {
    this.#historyLength = historyLength;
  }

  get historyLength(): number {
    return this.#historyLength;
  }

  set historyLength(seconds: number) {
    this.#historyLength = seconds;
    this.#trim(Date.now());
  }

  /** Called with a connection's counters when it is closed. */
  closedConnection(loads: number, stores: number): void {
    const time = Date.now();
    this.#entries.push({ time, loads, stores });
    this.#trim(time);
  }

  /** The remembered activity from `start` to `end`, in `divisions` intervals of equal length. */
  analysis({
    start,
    end,
    divisions = 10,
  }: { start?: Date; end?: Date; divisions?: number } = {}): Activity[] {
    if (!Number.isInteger(divisions) || divisions < 1) {
      throw new InvalidArgumentError(`divisions must be a positive integer, not ${divisions}.`);
    }
    const to = end?.getTime() ?? Date.now();
    const from = start?.getTime() ?? to - this.#historyLength * 1000;
    const width = (to - from) / divisions;
    return Array.from({ length: divisions }, (_, index) => {
      const left = from + index * width;
      const right = index === divisions - 1 ? to : left + width;
      const inside = this.#entries.filter(
        ({ time }) => time >= left && (time < right || (index === divisions - 1 && time <= right)),
      );
      return {
        start: new Date(left),
        end: new Date(right),
        loads: inside.reduce((sum, { loads }) => sum + loads, 0),
        stores: inside.reduce((sum, { stores }) => sum + stores, 0),
        connections: inside.length,
      };
    });
  }

  #trim(now: number): void {
    const oldest = now - this.#historyLength * 1000;
    let count = 0;
    while (count < this.#entries.length && this.#entries[count]!.time < oldest) count++;
    if (count) this.#entries.splice(0, count);
  }
}
