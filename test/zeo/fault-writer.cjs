/*
 * A program that moves money between accounts on a ZEO server until it is stopped, and looks at every snapshot:
 *
 *   fault-writer.cjs PORT CACHE-FILE NUMBER ACCOUNTS TOTAL SEQUENCE
 *
 * Objects 1 to ACCOUNTS are balances; object 1000 + NUMBER counts what this program committed, and was at least SEQUENCE when it was
 * started. It prints its counters after each attempt, and ends with 1 and a line that begins with "WRONG" when something is.
 */
'use strict';
const { bundlePath } = require('../live/zeo-bundle.cjs');
const zodb = require(bundlePath());

const [port, cachePath, number, accounts, total, sequence] = process.argv.slice(2).map((text) => {
  const value = Number(text);
  return Number.isNaN(value) ? text : value;
});
const mine = 1000 + number;
const client = new zodb.ClientStorage(`127.0.0.1:${port}`, {
  cachePath,
  cacheSize: 1 << 20,
  waitTimeout: 150_000,
  retryDelay: 20,
  clientLabel: `writer ${number}`,
});
const counts = { commits: 0, conflicts: 0, lost: 0, unknown: 0, snapshots: 0, sequence: 0 };
/** The least and the most that our count can be. */
let [least, most] = [sequence, sequence + 1];

function wrong(text) {
  process.stdout.write(`WRONG writer ${number}: ${text}\n`, () => process.exit(1));
}

/** One snapshot of everything. */
function look() {
  const instance = client.newInstance();
  try {
    instance.poll();
    const read = (oid) => {
      const { data, serial } = instance.load(oid);
      return { oid, serial, value: Number(zodb.textOf(data)) };
    };
    const balances = Array.from({ length: accounts }, (_, index) => read(index + 1));
    counts.snapshots++;
    return { balances, count: read(mine) };
  } finally {
    instance.release();
  }
}

function isTransient(error) {
  return error instanceof zodb.ClientDisconnected || error.name === 'ReadConflictError';
}

async function transfer() {
  const { balances, count } = look();
  const sum = balances.reduce((all, { value }) => all + value, 0);
  if (sum !== total) return wrong(`the money is ${sum}, not ${total}`);
  if (count.value < least || count.value > most) {
    return wrong(`our count is ${count.value}, and should be between ${least} and ${most}`);
  }
  least = most = count.value;
  const from = balances[Math.floor(Math.random() * accounts)];
  const to = balances.filter((account) => account !== from)[Math.floor(Math.random() * (accounts - 1))];
  const amount = 1 + Math.floor(Math.random() * 9);
  const txn = new zodb.TransactionMetaData({ description: `writer ${number}` });
  const store = ({ oid, serial }, value) => client.store(oid, serial, zodb.record(String(value)), txn);
  try {
    client.tpcBegin(txn);
    store(from, from.value - amount);
    store(to, to.value + amount);
    store(count, count.value + 1);
    if (Math.random() < 0.5) client.tpcCommit(txn);
    else {
      client.tpcVote(txn);
      client.tpcFinish(txn);
    }
    least = most = count.value + 1;
    counts.commits++;
  } catch (error) {
    client.tpcAbort(txn);
    if (error instanceof zodb.CommitOutcomeUnknownError) {
      most = count.value + 1;
      counts.unknown++;
    } else if (error instanceof zodb.ConflictError) {
      counts.conflicts++;
    } else if (isTransient(error)) counts.lost++;
    else throw error;
  }
}

async function main() {
  for (;;) {
    try {
      await transfer();
    } catch (error) {
      if (!isTransient(error)) throw error;
      counts.lost++;
    }
    process.stdout.write(`${JSON.stringify({ ...counts, sequence: least })}\n`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

main().catch((error) => wrong(error.stack));
