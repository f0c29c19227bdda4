#!/usr/bin/env node
/*
 * The ZEO server behind flags, for conformance tools that run Python's client against any server:
 *
 *   zeo-server.cjs --address 127.0.0.1:8100 --storage file --path Data.fs --blobs blobs
 *
 * Kinds: mapping, file, demo (over a file), sqlite. It runs the sources, bundled once for each state of them.
 */
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { bundlePath } = require('./zeo-bundle.cjs');

const { values: flags } = parseArgs({
  options: {
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
const zodb = require(bundlePath());

/** The class of ZODB's tests whose conflicts are merged. */
class PCounter {
  _p_resolveConflict(old, committed, now) {
    const of = (state) => state._value ?? 0;
    return { ...committed, _value: of(committed) + of(now) - of(old) };
  }
}
zodb.registry.register('ZODB.tests.ConflictResolution', 'PCounter', PCounter);

function fileStorage() {
  return new zodb.FileStorage(flags.path, {
    readOnly: flags['storage-read-only'] ?? false,
    packGc: !flags['no-pack-gc'],
    blobDir: flags.blobs ?? false,
    durability: 'normal',
  });
}

function openStorage() {
  switch (flags.storage) {
    // What these wrappers of Python's tests do to records at rest, or to the timing of loads, a client can't see.
    case 'hex':
    case 'serverhex':
    case 'loaddelay':
    case 'file':
      return fileStorage();
    case 'sqlite':
      return new zodb.SqliteStorage(flags.path);
    case 'demo':
      return new zodb.DemoStorage({ base: fileStorage() });
    case 'mapping':
      return new zodb.MemoryStorage();
    default:
      throw new Error(`no storage of the kind ${flags.storage}`);
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
function bushy(oid) {
  const parts = Array.from(zodb.oidToBytes(oid), (byte) => `0x${byte.toString(16).padStart(2, '0')}`);
  return path.join(flags.blobs, ...parts);
}

async function main() {
  const storage = openStorage();
  const server = new zodb.ZeoServer({
    storages: { [flags['storage-name']]: storage },
    readOnly: flags['read-only'],
    msgpack: flags.msgpack,
    packGc: !flags['no-pack-gc'],
    invalidationQueueSize: number('invalidation-queue-size'),
    invalidationAge: number('invalidation-age'),
    transactionTimeout: number('transaction-timeout', 1000),
    clientConflictResolution: flags['client-conflict-resolution'],
    sharedBlobDirectory: flags.blobs ? bushy : undefined,
    tls: flags['ssl-cert'] && {
      cert: fs.readFileSync(flags['ssl-cert']),
      key: fs.readFileSync(flags['ssl-key']),
      ca: fs.readFileSync(flags['ssl-ca']),
    },
    logger: textLogger(),
  });
  await server.listen(zodb.parseAddress(flags.address ?? `[${flags.host}]:${flags.port}`));
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    await server.close();
    storage.close();
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
