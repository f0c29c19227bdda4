/** A program that commits until it is killed, and says what was acknowledged: `node killed-writer.js FILE [pack]`. */
import { writeSync } from 'node:fs';
import { ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { FileStorage, runStepsAsync, TransactionMetaData } from '../../../src/storage';
import { mappingRecord, plainHost } from './records';

const [, , file, mode] = process.argv;
const storage = new FileStorage(file!, { onWarning: () => undefined });
storage.registerDB(plainHost);
const serials = new Map<Oid, Tid>();
for (const { oid, serial } of storage.currentRecords()) serials.set(oid, serial);

function commit(number: number): void {
  const txn = new TransactionMetaData();
  storage.tpcBegin(txn);
  const oids = [ROOT_OID, ((number % 20) + 1) as Oid];
  const all = Array.from({ length: 20 }, (_, place) => (place + 1) as Oid);
  for (const oid of oids) {
    const references =
      oid === ROOT_OID ? all.filter((other) => serials.has(other) || oids.includes(other)) : [];
    storage.store(
      oid,
      serials.get(oid) ?? ZERO_TID,
      mappingRecord(`commit ${number} `.repeat(20), references),
      txn,
    );
  }
  storage.tpcVote(txn);
  const tid = storage.tpcFinish(txn);
  for (const oid of oids) serials.set(oid, tid);
  writeSync(1, `${tid}\n`);
}

async function main(): Promise<void> {
  for (let number = 0; ; number++) {
    commit(number);
    if (mode === 'pack' && number % 40 === 39) {
      const packing = runStepsAsync(storage.pack());
      let done = false;
      void packing.then(() => (done = true));
      while (!done) {
        commit(++number);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    if (number % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

void main();
