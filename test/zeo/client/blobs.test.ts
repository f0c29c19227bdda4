/** Blobs between files and sockets: whole in both directions, whatever is cut, given up or full on the way. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { TransactionMetaData } from '../../../src/storage';
import { blobRecord, record, textOf } from '../../../src/testing';
import { ClientDisconnected, ClientStorage } from '../../../src/zeo';
import { startRelay } from '../raw-peer';
import { serversAndClients } from './servers-and-clients';

const { thread, start, stopLast, connect } = serversAndClients('file');
let made = 0;

function newDirectory(): string {
  return join(thread.directory, `blobs-${++made}`);
}

/** Bytes of which no two stretches are alike. */
function content(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = size + 1;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

function storeBlob(
  client: ClientStorage,
  bytes: Buffer,
  oid = client.newOid(),
  serial = ZERO_TID,
): [Oid, Tid] {
  const txn = new TransactionMetaData();
  client.tpcBegin(txn);
  client.storeBlob(oid, serial, blobRecord(), bytes, txn);
  client.tpcVote(txn);
  return [oid, client.tpcFinish(txn)];
}

function readBlob(client: ClientStorage, oid: Oid, tid: Tid): Buffer {
  return readFileSync(client.blobPath(oid, tid));
}

function blobFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true })
    .map(String)
    .filter((name) => /\.(blob|tmp)$/.test(name));
}

describe.each([
  ['pickle', false],
  ['msgpack', true],
])('blobs, with %s', (_, msgpack) => {
  it('come back as they were, of every size around that of a message', () => {
    const server = start({ options: { msgpack } });
    const [writer, reader] = [connect(server.port), connect(server.port)];
    const sizes = [0, 1, 255, 256, 58_999, 59_000, 59_001, 65_536, 118_000, 1_000_003];
    const blobs = sizes.map((size) => storeBlob(writer, content(size)));
    blobs.forEach(([oid, tid], index) => {
      const expected = content(sizes[index]!);
      expect(readBlob(reader, oid, tid).equals(expected)).toBe(true);
      expect(readBlob(writer, oid, tid).equals(expected)).toBe(true);
    });
  });

  it('of one transaction go one after the other, with records between them', () => {
    const server = start({ options: { msgpack } });
    const [writer, reader] = [connect(server.port), connect(server.port)];
    const oids = Array.from({ length: 6 }, () => writer.newOid());
    const txn = new TransactionMetaData();
    writer.tpcBegin(txn);
    oids.forEach((oid, index) => {
      if (index % 2) writer.store(oid, ZERO_TID, record(`record ${index}`), txn);
      else writer.storeBlob(oid, ZERO_TID, blobRecord(), content(200_000 + index), txn);
    });
    writer.tpcVote(txn);
    const tid = writer.tpcFinish(txn);
    oids.forEach((oid, index) => {
      if (index % 2) expect(textOf(reader.load(oid).data)).toBe(`record ${index}`);
      else expect(readBlob(reader, oid, tid).equals(content(200_000 + index))).toBe(true);
    });
  });
});

describe('a blob that is being sent', () => {
  // It goes through a relay that needs this thread's event loop: a call that blocked would never end.
  it('leaves the event loop free in an asynchronous commit', async () => {
    const server = start();
    const relay = await startRelay(server.port);
    let chunks = 0;
    relay.onMessage = (fromClient, message) => {
      if (fromClient && message.includes('storeBlobChunk')) chunks++;
      return 'pass';
    };
    const client = connect(relay.port, { wait: false });
    const txn = new TransactionMetaData();
    const oid = connect(server.port).newOid();
    await client.tpcBeginAsync(txn);
    client.storeBlob(oid, ZERO_TID, blobRecord(), Buffer.alloc(6 << 20, 'x'), txn);
    const before = chunks;
    await client.tpcVoteAsync(txn);
    expect(chunks).toBeGreaterThan(before);
    await client.tpcFinishAsync(txn);
    relay.close();
  });

  it('is given up with its transaction, and leaves no file', () => {
    const server = start();
    const blobDir = newDirectory();
    const client = connect(server.port, { blobDir });
    const oid = client.newOid();
    const txn = new TransactionMetaData();
    client.tpcBegin(txn);
    client.storeBlob(oid, ZERO_TID, blobRecord(), content(3_000_000), txn);
    client.tpcAbort(txn);
    expect(client.isConnected).toBe(true);
    const [again, tid] = storeBlob(client, content(70_000), oid);
    expect(readBlob(connect(server.port), again, tid).equals(content(70_000))).toBe(true);
    expect(blobFiles(blobDir)).toHaveLength(1);
  });

  it('twice in one transaction: the last one counts', () => {
    const server = start();
    const client = connect(server.port);
    const oid = client.newOid();
    const txn = new TransactionMetaData();
    client.tpcBegin(txn);
    client.storeBlob(oid, ZERO_TID, blobRecord(), content(500_000), txn);
    client.storeBlob(oid, ZERO_TID, blobRecord(), content(300_000), txn);
    client.tpcVote(txn);
    const tid = client.tpcFinish(txn);
    expect(readBlob(connect(server.port), oid, tid).equals(content(300_000))).toBe(true);
    expect(readBlob(client, oid, tid).equals(content(300_000))).toBe(true);
  });

  it('when the connection is cut: nothing is committed, and a retry brings all of it', async () => {
    const server = start();
    const relay = await startRelay(server.port);
    const client = connect(relay.port, { wait: false });
    await client.syncAsync();
    const oid = connect(server.port).newOid();
    let chunks = 0;
    relay.onMessage = (fromClient, message) =>
      fromClient && message.includes('storeBlobChunk') && ++chunks === 4 ? 'drop' : 'pass';
    const commit = async (): Promise<Tid> => {
      const txn = new TransactionMetaData();
      await client.tpcBeginAsync(txn);
      try {
        client.storeBlob(oid, ZERO_TID, blobRecord(), content(1_000_000), txn);
        await client.tpcVoteAsync(txn);
        return await client.tpcFinishAsync(txn);
      } finally {
        client.tpcAbort(txn);
      }
    };
    await expect(commit()).rejects.toThrow(ClientDisconnected);
    const tid = await commit();
    expect(readBlob(connect(server.port), oid, tid).equals(content(1_000_000))).toBe(true);
    relay.close();
  });
});

describe('a blob that arrives', () => {
  /** A relay in a thread, for callers who block: it cuts its first connection after so many bytes from the server. */
  async function cuttingRelay(to: number, after: number): Promise<{ port: number; worker: Worker }> {
    const worker = new Worker(
      `const net = require('node:net');
      const { workerData, parentPort } = require('node:worker_threads');
      let left = workerData.after;
      const server = net.createServer((client) => {
        const upstream = net.connect(workerData.to, '127.0.0.1');
        upstream.on('data', (bytes) => {
          client.write(bytes);
          if (left > 0 && (left -= bytes.length) <= 0) { client.destroy(); upstream.destroy(); }
        });
        client.on('data', (bytes) => upstream.write(bytes));
        for (const socket of [client, upstream]) socket.on('error', () => 0);
        client.on('close', () => upstream.destroy());
      }).listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`,
      { eval: true, workerData: { to, after } },
    );
    const port = await new Promise<number>((resolve) => worker.once('message', resolve));
    return { port, worker };
  }

  it('and is cut is asked for again, and whole then', async () => {
    const server = start();
    const [oid, tid] = storeBlob(connect(server.port), content(2_000_000));
    const { port, worker } = await cuttingRelay(server.port, 700_000);
    const blobDir = newDirectory();
    const client = connect(port, { blobDir });
    expect(readBlob(client, oid, tid).equals(content(2_000_000))).toBe(true);
    expect(blobFiles(blobDir)).toHaveLength(1);
    await worker.terminate();
  });

  it('in messages written in another way is whole too', async () => {
    const server = start();
    const [oid, tid] = storeBlob(connect(server.port), content(150_000));
    // A peer may use the memo, which ours and Python's don't: a PUT after the name of the method.
    const worker = new Worker(
      `const net = require('node:net');
      const { workerData, parentPort } = require('node:worker_threads');
      const server = net.createServer((client) => {
        const upstream = net.connect(workerData, '127.0.0.1');
        let pending = Buffer.alloc(0);
        upstream.on('data', (bytes) => {
          pending = Buffer.concat([pending, bytes]);
          while (pending.length >= 4 && pending.length >= pending.readUInt32BE(0) + 4) {
            const size = pending.readUInt32BE(0);
            let message = pending.subarray(4, size + 4);
            pending = pending.subarray(size + 4);
            const at = message.indexOf('receiveBlobChunk');
            if (at >= 0) message = Buffer.concat([message.subarray(0, at + 16), Buffer.of(0x71, 0), message.subarray(at + 16)]);
            const length = Buffer.alloc(4);
            length.writeUInt32BE(message.length, 0);
            client.write(Buffer.concat([length, message]));
          }
        });
        client.on('data', (bytes) => upstream.write(bytes));
        for (const socket of [client, upstream]) socket.on('error', () => 0);
      }).listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`,
      { eval: true, workerData: server.port },
    );
    const port = await new Promise<number>((resolve) => worker.once('message', resolve));
    expect(readBlob(connect(port), oid, tid).equals(content(150_000))).toBe(true);
    await worker.terminate();
  });

  it('that can not be written is an error that says so, and the connection goes on', () => {
    const server = start();
    const [oid, tid] = storeBlob(connect(server.port), content(150_000));
    const blobDir = newDirectory();
    const client = connect(server.port, { blobDir });
    client.blobDirectory();
    const work = join(blobDir, 'tmp');
    rmSync(work, { recursive: true });
    // A directory in which nobody can make a file.
    symlinkSync('/proc/self', work);
    expect(() => client.openBlob(oid, tid)).toThrow(
      expect.objectContaining({ code: 'BLOB_DOWNLOAD' }) as Error,
    );
    rmSync(work);
    expect(readBlob(client, oid, tid).equals(content(150_000))).toBe(true);
  });

  it('and does not exist leaves nothing behind', () => {
    const server = start();
    const [oid, tid] = storeBlob(connect(server.port), content(10));
    const blobDir = newDirectory();
    const client = connect(server.port, { blobDir });
    expect(() => client.openBlob(oid, (tid - 1n) as Tid)).toThrow(
      expect.objectContaining({ code: 'POS_KEY' }) as Error,
    );
    expect(blobFiles(blobDir)).toEqual([]);
  });
});

describe('a private blob directory', () => {
  it('keeps within its limit, drops what was read longest ago, and downloads it again when it is wanted', () => {
    const server = start();
    const writer = connect(server.port);
    const blobs = Array.from({ length: 20 }, (_, index) => storeBlob(writer, content(100_000 + index)));
    const blobDir = newDirectory();
    const client = connect(server.port, { blobDir, blobCacheSize: 500_000 });
    const used = (): number =>
      blobFiles(blobDir).reduce((sum, name) => sum + statSync(join(blobDir, name)).size, 0);
    blobs.forEach(([oid, tid], index) => {
      client.openBlob(oid, tid).close();
      // The first is read again and again.
      client.openBlob(...blobs[0]!).close();
      expect(used()).toBeLessThanOrEqual(500_000 + 100_000 + index);
    });
    expect(used()).toBeLessThanOrEqual(500_000);
    expect(existsSync(client.blobPath(...blobs[19]!))).toBe(true);
    expect(blobFiles(blobDir).length).toBeLessThan(6);
    for (const [index, [oid, tid]] of blobs.entries())
      expect(readBlob(client, oid, tid).equals(content(100_000 + index))).toBe(true);
  });

  it('survives a restart: what is in it is not asked for again', () => {
    const server = start();
    const [oid, tid] = storeBlob(connect(server.port), content(1000));
    const blobDir = newDirectory();
    const first = connect(server.port, { blobDir });
    readBlob(first, oid, tid);
    first.close();
    const second = connect(server.port, { blobDir });
    stopLast();
    expect(readBlob(second, oid, tid).equals(content(1000))).toBe(true);
  });
});
