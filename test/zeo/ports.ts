/**
 * Ports for servers. They are not among those that systems give by themselves, and each process of the test runner has its own: nobody
 * else gets a port while its server is away.
 */
const COUNT = 1000;
const first = 20_000 + (Number(process.env.JEST_WORKER_ID ?? 0) % 10) * COUNT;
// Two test runs on one machine are unlikely to meet.
let last = Math.floor(Math.random() * COUNT);

/** A port that was not given out lately. It may be in use all the same. */
export function nextPort(): number {
  last = (last + 1) % COUNT;
  return first + last;
}
