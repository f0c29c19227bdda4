#!/usr/bin/env node
/*
 * The ZEO server behind flags, for conformance tools that run Python's client against any server:
 *
 *   zeo-server.cjs --address 127.0.0.1:8100 --storage file --path Data.fs --blobs blobs
 *   zeo-server.cjs --config runzeo.conf
 *
 * Kinds: mapping, file, demo (over a file), sqlite; and over a file what Python's tests wrap one in: hex (records are kept in
 * hexadecimal), serverhex (the clients do that), loaddelay (10 ms after each load). It runs the sources, bundled once for each
 * state of them.
 */
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { bundlePath } = require('./zeo-bundle.cjs');
const { readConfig } = require('./zeo-config.cjs');

const { values } = parseArgs({
  options: {
    config: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string' },
    address: { type: 'string' },
    storage: { type: 'string', default: 'mapping' },
    path: { type: 'string' },
    blobs: { type: 'string' },
    log: { type: 'string' },
    'storage-name': { type: 'string', default: '1' },
    'storage-read-only': { type: 'boolean' },
    'no-pack-gc': { type: 'boolean' },
    'read-only': { type: 'boolean' },
    'invalidation-queue-size': { type: 'string' },
    'invalidation-age': { type: 'string' },
    'transaction-timeout': { type: 'string' },
    'client-conflict-resolution': { type: 'boolean' },
    msgpack: { type: 'boolean' },
    'ssl-cert': { type: 'string' },
    'ssl-key': { type: 'string' },
    'ssl-ca': { type: 'string' },
  },
});
const flags = values.config === undefined ? values : { ...values, ...readConfig(values.config) };
const served = flags.storages ?? [
  {
    name: flags['storage-name'],
    kind: flags.storage,
    path: flags.path,
    blobs: flags.blobs,
    readOnly: flags['storage-read-only'] ?? false,
    packGc: !flags['no-pack-gc'],
  },
];
const zodb = require(bundlePath());

/** The class of ZODB's tests whose conflicts are merged. */
class PCounter {
  _p_resolveConflict(old, committed, now) {
    const of = (state) => state._value ?? 0;
    return { ...committed, _value: of(committed) + of(now) - of(old) };
  }
}
zodb.registry.register('ZODB.tests.ConflictResolution', 'PCounter', PCounter);

function fileStorage({ path: file, readOnly, packGc, blobs }) {
  return new zodb.FileStorage(file, { readOnly, packGc, blobDir: blobs ?? false, durability: 'normal' });
}

/** Records as Python's `ZODB.tests.hexstorage` keeps them: `.h`, then hexadecimal digits. */
const HEX = {
  name: 'hex',
  boundToTid: false,
  encode: (record) => Buffer.from(`.h${Buffer.from(record).toString('hex')}`, 'latin1'),
  decode: (record) => Buffer.from(Buffer.from(record.subarray(2)).toString('latin1'), 'hex'),
};

/** Clients keep records in hexadecimal digits: they pass as they are, and are read for merging, packing and naming only. */
class ServerHexStorage extends zodb.TransformStorage {
  constructor(base) {
    super(base, {
      name: 'serverhex',
      boundToTid: false,
      encode: (record) => record,
      decode: (record) => record,
    });
  }

  registerDB(host) {
    const { encode, decode } = HEX;
    super.registerDB({
      invalidate: (tid, oids) => host.invalidate(tid, oids),
      invalidateAll: () => host.invalidateAll(),
      references: (record) => host.references(decode(record)),
      resolveConflict(conflict) {
        const { committed, old, newData } = conflict;
        const plain = { committed: decode(committed), old: decode(old), newData: decode(newData) };
        const merged = host.resolveConflict({ ...conflict, ...plain });
        return merged && encode(merged);
      },
    });
  }

  store(oid, serial, data, txn) {
    try {
      super.store(oid, serial, data, txn);
    } catch (error) {
      if (!(error instanceof zodb.ConflictError)) throw error;
      const { serials } = error;
      throw new zodb.ConflictError(undefined, { oid, serials, className: zodb.className(HEX.decode(data)) });
    }
  }
}

/** The whole server sleeps after each load, as Python's does (`ZEO/tests/racetest.py`). */
function delayingLoads(storage) {
  const signal = new Int32Array(new SharedArrayBuffer(4));
  for (const name of ['load', 'loadBefore', 'loadSerial']) {
    const load = storage[name];
    storage[name] = (...args) => {
      const result = load.apply(storage, args);
      Atomics.wait(signal, 0, 0, 10);
      return result;
    };
  }
  return storage;
}

function openStorage(storage) {
  switch (storage.kind) {
    case 'file':
      return fileStorage(storage);
    case 'hex':
      return new zodb.TransformStorage(fileStorage(storage), HEX);
    case 'serverhex':
      return new ServerHexStorage(fileStorage(storage));
    case 'loaddelay':
      return delayingLoads(fileStorage(storage));
    case 'sqlite':
      return new zodb.SqliteStorage(storage.path);
    case 'demo':
      return new zodb.DemoStorage({ base: fileStorage(storage) });
    case 'mapping':
      return new zodb.MemoryStorage();
    default:
      throw new Error(`no storage of the kind ${storage.kind}`);
  }
}

/** Lines like those of Python's server: time, level, logger, message. */
function textLogger() {
  const write = flags.log
    ? (line) => fs.appendFileSync(flags.log, line)
    : (line) => process.stdout.write(line);
  const line = (level) => (fields, message) => {
    const { client, err, ...rest } = fields;
    const label = client === undefined ? '' : `(${client}) `;
    const more = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : '';
    write(
      `${new Date().toISOString()} ${level} ZEO.StorageServer ${label}${message}${more}${err ? ` ${err.stack}` : ''}\n`,
    );
  };
  return { info: line('INFO'), warn: line('WARNING'), error: line('ERROR'), fatal: line('CRITICAL') };
}

function number(name, scale = 1) {
  return flags[name] === undefined ? undefined : Number(flags[name]) * scale;
}

/** The directory of an object's blob files, as Python lays them out. */
function bushy(directory, oid) {
  const parts = Array.from(zodb.oidToBytes(oid), (byte) => `0x${byte.toString(16).padStart(2, '0')}`);
  return path.join(directory, ...parts);
}

async function main() {
  const storages = {};
  for (const storage of served) storages[storage.name] = openStorage(storage);
  const { blobs, packGc } = served[0];
  const server = new zodb.ZeoServer({
    storages,
    readOnly: flags['read-only'],
    msgpack: flags.msgpack,
    packGc,
    invalidationQueueSize: number('invalidation-queue-size'),
    invalidationAge: number('invalidation-age'),
    transactionTimeout: number('transaction-timeout', 1000),
    clientConflictResolution: flags['client-conflict-resolution'],
    sharedBlobDirectory: blobs ? (oid) => bushy(blobs, oid) : undefined,
    tls: flags['ssl-cert'] && {
      cert: fs.readFileSync(flags['ssl-cert']),
      key: fs.readFileSync(flags['ssl-key']),
      ca: fs.readFileSync(flags['ssl-ca']),
    },
    logger: textLogger(),
  });
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    await server.close();
    for (const storage of Object.values(storages)) storage.close();
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  await server.listen(zodb.parseAddress(flags.address ?? `[${flags.host}]:${flags.port}`));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
