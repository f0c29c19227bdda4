/*
 * Reads the configuration file of Python's `runzeo -C` (ZConfig: sections in angle brackets, a key and its value on a line) into the
 * flags of `zeo-server.cjs`, as far as the tests of ZEO use it.
 */
'use strict';
const fs = require('node:fs');
const path = require('node:path');

/** The kinds of storage by the names of their sections. */
const KINDS = {
  filestorage: 'file',
  mappingstorage: 'mapping',
  demostorage: 'demo',
  hexstorage: 'hex',
  serverhexstorage: 'serverhex',
  loaddelayed_storage: 'loaddelay',
};

/** A tree of sections: `{ type, name, keys, sections }`. */
function parse(text) {
  const root = { type: '', name: '', keys: {}, sections: [] };
  const open = [root];
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || line[0] === '#' || line[0] === '%') continue;
    const [, closing, type, name, empty] = /^<(\/?)\s*([-\w]+)\s*([^/>]*?)\s*(\/?)>$/.exec(line) ?? [];
    if (closing) open.pop();
    else if (type !== undefined) {
      const section = { type: type.toLowerCase(), name, keys: {}, sections: [] };
      open.at(-1).sections.push(section);
      if (!empty) open.push(section);
    } else {
      const [, key, value] = /^(\S+)\s*(.*)$/.exec(line);
      open.at(-1).keys[key.toLowerCase()] = value;
    }
  }
  return root;
}

function isOn(value) {
  return value !== undefined && /^(1|yes|true|on)$/i.test(value);
}

/** What a storage section, or the one that it wraps, asks for. */
function storageOf(section) {
  const inside = section.sections[0] && storageOf(section.sections[0]);
  const blobs = section.keys['blob-dir'] && path.resolve(section.keys['blob-dir']);
  if (section.type === 'blobstorage') return { ...inside, blobs };
  return {
    ...inside,
    kind: KINDS[section.type],
    ...(section.type === 'filestorage' && {
      path: path.resolve(section.keys.path),
      blobs,
      readOnly: isOn(section.keys['read-only']),
      packGc: !/^(0|no|false|off)$/i.test(section.keys['pack-gc'] ?? ''),
    }),
  };
}

/** The flags and the storages of a file; relative paths are meant from the present directory. */
function readConfig(file) {
  const { sections } = parse(fs.readFileSync(file, 'utf8'));
  const zeo = sections.find(({ type }) => type === 'zeo');
  const tls = zeo.sections.find(({ type }) => type === 'ssl')?.keys ?? {};
  const log = sections
    .find(({ type }) => type === 'eventlog')
    ?.sections.find(({ type }) => type === 'logfile');
  const { keys } = zeo;
  return {
    address: keys.address,
    'read-only': isOn(keys['read-only']),
    'invalidation-queue-size': keys['invalidation-queue-size'],
    'invalidation-age': keys['invalidation-age'],
    'transaction-timeout': keys['transaction-timeout'],
    'client-conflict-resolution': isOn(keys['client-conflict-resolution']),
    msgpack: isOn(keys.msgpack),
    'ssl-cert': tls.certificate,
    'ssl-key': tls.key,
    'ssl-ca': tls.authenticate,
    log: log && path.resolve(log.keys.path),
    storages: sections
      .filter(({ type }) => type in KINDS || type === 'blobstorage')
      .map((section) => ({ name: section.name || '1', packGc: true, ...storageOf(section) })),
  };
}

module.exports = { readConfig };
