import { CorruptionError, StorageError } from '../../errors';
import { SyncBridge, type BridgeWorker } from '../../bridge/index';

/** Records of the worker: content, its end, or why there is none. */
const CONTENT = 0;
const END = 1;

/** Room for content that waits to be taken. */
const RING_BYTES = 4 << 20;

/** A worker that says nothing for so long, in milliseconds, has died or never came up. */
const PATIENCE = 60_000;

/**
 * The content of a gzip file, piece by piece, with little memory whatever its size. Node has no synchronous stream of gzip, so a
 * thread unpacks, beside the one that uses the content. `CorruptionError` (`BACKUP_DAMAGED`) when it is no whole gzip file.
 */
export function* gunzipFile(path: string): Generator<Buffer> {
  const bridge = new SyncBridge(unpack, { data: { path }, ringBytes: RING_BYTES, name: 'zodb gunzip' });
  try {
    for (;;) {
      const piece = bridge.receive();
      if (piece === undefined) {
        if (!bridge.wait(PATIENCE)) throw new StorageError(`Unpacking ${path} came to a halt.`);
        continue;
      }
      if (bridge.tag === END) return;
      if (bridge.tag !== CONTENT) throw failure(path, piece.toString());
      yield piece;
    }
  } finally {
    void bridge.close();
  }
}

function failure(path: string, text: string): Error {
  const { message, code } = JSON.parse(text) as { message: string; code: string };
  const cause = Object.assign(new Error(message), { code });
  if (!code.startsWith('Z_'))
    return new StorageError(`${path} can't be read: ${message}.`, { code: 'READ_FAILED', cause });
  return new CorruptionError(`${path} is no whole gzip file: the backup is damaged.`, {
    code: 'BACKUP_DAMAGED',
    cause,
  });
}

/** Runs in the bridge's thread; refers to nothing outside itself. */
const unpack: BridgeWorker = (scope) => {
  const fs = scope.load('node:fs') as typeof import('node:fs');
  const zlib = scope.load('node:zlib') as typeof import('node:zlib');
  const { path } = scope.data as { path: string };
  const fail = (error: NodeJS.ErrnoException): void => {
    scope.send(2, Buffer.from(JSON.stringify({ message: error.message, code: error.code ?? '' })));
  };
  const packed = fs.createReadStream(path, { highWaterMark: 1 << 18 });
  const content = zlib.createGunzip({ chunkSize: 1 << 18 });
  packed.on('error', fail);
  content.on('error', fail);
  content.on('data', (piece: Buffer) => {
    if (!scope.send(0, piece)) content.pause();
  });
  content.on('end', () => scope.send(1, new Uint8Array(0)));
  scope.onDrain(() => content.resume());
  packed.pipe(content);
};
