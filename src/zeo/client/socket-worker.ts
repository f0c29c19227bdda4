/**
 * The client's sockets, in a thread of their own. What arrives there is passed on in order, in records of shared memory; the
 * protocol itself is spoken by the thread that uses the storage. Only the contents of blobs go between files and sockets here.
 *
 * The function is sent to the thread as text: it must not refer to anything outside itself.
 */
import type { BridgeScope } from '../../bridge/index';
import type { FileFailure, SendFileOrder, SocketOrder, TakeFileOrder } from './socket-orders';

/** Runs in the worker. */
export function socketWorker(scope: BridgeScope): void {
  const fs = scope.load('node:fs') as typeof import('node:fs');
  const net = scope.load('node:net') as typeof import('node:net');
  const tls = scope.load('node:tls') as typeof import('node:tls');
  type Socket = import('node:net').Socket;
  /** A file that leaves, and what waits behind it. */
  interface Upload {
    readonly order: SendFileOrder;
    readonly descriptor: number;
    /** Messages one behind the other, and where in them the file's bytes go. */
    readonly frames: Buffer;
    readonly parts: readonly Buffer[];
    readonly after: Uint8Array[];
    sent: number;
    dropped: boolean;
  }
  /** A file that arrives. */
  interface Download {
    readonly order: TakeFileOrder;
    descriptor: number | undefined;
  }
  interface Entry {
    socket: Socket | undefined;
    timer: NodeJS.Timeout | undefined;
    heart: NodeJS.Timeout | undefined;
    readonly uploads: Upload[];
    readonly downloads: Download[];
    /** The beginning of a message of which too little has arrived. */
    begun: Buffer | undefined;
    /** Bytes that the message under way still has. */
    left: number;
    /** Where the message under way goes, and how many of its bytes. */
    target: Download | undefined;
    payload: number;
    toldAt: number;
  }
  const entries = new Map<number, Entry>();
  /** Messages of a file that leave together. */
  const together = 16;
  /** Milliseconds between two signs that a file moves. */
  const signEvery = 500;
  /** What is read from a socket at once; the memory is used again and again. */
  const readBytes = 256 << 10;
  const nothing = Buffer.alloc(0);

  function end(connection: number, reason: string): void {
    const entry = entries.get(connection);
    if (!entry) return;
    entries.delete(connection);
    clearTimeout(entry.timer);
    clearInterval(entry.heart);
    entry.socket?.destroy();
    for (const { descriptor } of entry.uploads) fs.closeSync(descriptor);
    for (const download of entry.downloads) closeDownload(download);
    scope.send(connection * 4 + 2, Buffer.from(reason, 'utf8'));
  }

  function write(entry: Entry, bytes: Uint8Array): void {
    const { uploads } = entry;
    if (uploads.length === 0) entry.socket?.write(bytes);
    else uploads[uploads.length - 1]!.after.push(bytes);
  }

  function sign(connection: number, entry: Entry): void {
    const now = Date.now();
    if (now - entry.toldAt < signEvery) return;
    entry.toldAt = now;
    scope.send(connection * 4 + 3, nothing);
  }

  function sendFile(order: SendFileOrder, entry: Entry): void {
    let descriptor: number;
    try {
      descriptor = fs.openSync(order.file, 'r');
    } catch (error) {
      return end(order.connection, `a blob can't be read: ${(error as Error).message}`);
    }
    const { head, tail } = order.whole;
    const step = head.length + order.chunk + tail.length;
    const count = Math.min(together, Math.ceil(order.size / order.chunk));
    const frames = Buffer.allocUnsafeSlow(count * step);
    const parts: Buffer[] = [];
    for (let at = 0; at < frames.length; at += step) {
      frames.set(head, at);
      frames.set(tail, at + step - tail.length);
      parts.push(frames.subarray(at + head.length, at + step - tail.length));
    }
    entry.uploads.push({ order, descriptor, frames, parts, after: [], sent: 0, dropped: false });
    if (entry.uploads.length === 1) sendMore(entry);
  }

  /** Sends some messages more. They are made in one buffer for all: each lot leaves before the next is read. */
  function sendMore(entry: Entry): void {
    const upload = entry.uploads[0]!;
    const { order } = upload;
    const left = order.size - upload.sent;
    if (left === 0 || upload.dropped) return finishFile(entry, upload);
    let bytes: Buffer;
    try {
      bytes = left >= order.chunk ? readWhole(upload, left) : readLast(upload, left);
    } catch (error) {
      return end(order.connection, `a blob can't be read: ${(error as Error).message}`);
    }
    entry.socket!.write(bytes, (error) => {
      if (error || entries.get(order.connection) !== entry) return;
      sign(order.connection, entry);
      // Others of this thread have their turn.
      setImmediate(() => entries.get(order.connection) === entry && sendMore(entry));
    });
  }

  /** Fills as many whole messages as there are, up to those that leave together. */
  function readWhole(upload: Upload, left: number): Buffer {
    const { order, parts, frames } = upload;
    const count = Math.min(parts.length, Math.floor(left / order.chunk));
    const wanted = count * order.chunk;
    let read = fs.readvSync(upload.descriptor, parts.slice(0, count), upload.sent);
    while (read < wanted) {
      const part = parts[Math.floor(read / order.chunk)]!;
      const at = read % order.chunk;
      const more = fs.readSync(upload.descriptor, part, at, part.length - at, upload.sent + read);
      if (more === 0) throw new Error('it became shorter while it was sent');
      read += more;
    }
    upload.sent += wanted;
    return frames.subarray(0, (frames.length / parts.length) * count);
  }

  function readLast(upload: Upload, left: number): Buffer {
    const { head, tail } = upload.order.last;
    const bytes = Buffer.concat([head, Buffer.alloc(left), tail]);
    for (let read = 0; read < left;) {
      const at = upload.sent + read;
      const more = fs.readSync(upload.descriptor, bytes, head.length + read, left - read, at);
      if (more === 0) throw new Error('it became shorter while it was sent');
      read += more;
    }
    upload.sent += left;
    return bytes;
  }

  function finishFile(entry: Entry, upload: Upload): void {
    entry.uploads.shift();
    fs.closeSync(upload.descriptor);
    for (const bytes of upload.after) entry.socket!.write(bytes);
    if (entry.uploads.length > 0) sendMore(entry);
  }

  function takeFile(order: TakeFileOrder, entry: Entry): void {
    const download: Download = { order, descriptor: undefined };
    entry.downloads.push(download);
    try {
      download.descriptor = fs.openSync(order.file, 'ax', 0o600);
    } catch (error) {
      failDownload(download, error);
    }
  }

  function failDownload(download: Download, error: unknown): void {
    closeDownload(download);
    const { connection, file } = download.order;
    const failure: FileFailure = { file, reason: (error as Error).message };
    scope.send(connection * 4 + 3, Buffer.from(JSON.stringify(failure), 'utf8'));
  }

  function closeDownload(download: Download): void {
    if (download.descriptor !== undefined) fs.closeSync(download.descriptor);
    download.descriptor = undefined;
  }

  function dropFile(file: string, entry: Entry): void {
    const at = entry.downloads.findIndex(({ order }) => order.file === file);
    if (at >= 0) closeDownload(entry.downloads.splice(at, 1)[0]!);
    for (const upload of entry.uploads) if (upload.order.file === file) upload.dropped = true;
    fs.rmSync(file, { force: true });
  }

  /** Whether a message that begins at `at` brings a part of a file; where its bytes begin, 0 when it does not. */
  function beginPart(entry: Entry, bytes: Buffer, at: number, size: number): number {
    for (const download of entry.downloads) {
      const { prefix, trailer } = download.order;
      const opcode = at + 4 + prefix.length;
      if (bytes.length < opcode + 5 || bytes.compare(prefix, 0, prefix.length, at + 4, opcode) !== 0)
        continue;
      const op = bytes[opcode]!;
      let from = opcode + 5;
      let count: number;
      if (op === 0x42) count = bytes.readUInt32LE(opcode + 1);
      else if (op === 0xc6) count = bytes.readUInt32BE(opcode + 1);
      else if (op === 0xc5) [from, count] = [opcode + 3, bytes.readUInt16BE(opcode + 1)];
      else if (op === 0x43 || op === 0xc4) [from, count] = [opcode + 2, bytes[opcode + 1]!];
      else continue;
      if (from - at + count + trailer !== size + 4) continue;
      entry.target = download;
      entry.payload = count;
      return from;
    }
    return 0;
  }

  function writePart(download: Download, part: Buffer): void {
    if (download.descriptor === undefined) return;
    try {
      for (let at = 0; at < part.length;) at += fs.writeSync(download.descriptor, part, at);
    } catch (error) {
      failDownload(download, error);
    }
  }

  /** Follows the messages, takes out those that bring parts of files, and passes the rest on. */
  function receive(connection: number, entry: Entry, chunk: Buffer): boolean {
    const bytes = entry.begun ? Buffer.concat([entry.begun, chunk]) : chunk;
    entry.begun = undefined;
    let roomy = true;
    let from = 0;
    let at = 0;
    const passOn = (to: number): void => {
      if (to > from)
        roomy = scope.send(
          connection * 4 + 1,
          from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to),
        );
    };
    while (at < bytes.length) {
      if (entry.left === 0) {
        const rest = bytes.length - at;
        const size = rest < 4 ? 0 : bytes.readUInt32BE(at);
        // To tell what it is takes more than has come.
        if (rest < 4 || (entry.downloads.length > 0 && rest < Math.min(size + 4, 128))) {
          passOn(at);
          entry.begun = Buffer.from(bytes.subarray(at));
          return roomy;
        }
        const start = entry.downloads.length > 0 ? beginPart(entry, bytes, at, size) : 0;
        if (start === 0) entry.left = size + 4;
        else {
          passOn(at);
          entry.left = size + 4 - (start - at);
          at = start;
        }
      }
      const count = Math.min(entry.left, bytes.length - at);
      if (entry.target) {
        const part = Math.min(entry.payload, count);
        if (part > 0) writePart(entry.target, bytes.subarray(at, at + part));
        entry.payload -= part;
        from = at + count;
        sign(connection, entry);
      }
      at += count;
      entry.left -= count;
      if (entry.left === 0) entry.target = undefined;
    }
    passOn(bytes.length);
    return roomy;
  }

  function open(order: SocketOrder & { op: 'connect' }, entry: Entry): void {
    const { connection, address, tls: secure } = order;
    const take = (chunk: Buffer): boolean => {
      // One that accepts and says nothing is no server either.
      clearTimeout(entry.timer);
      if (receive(connection, entry, chunk)) return true;
      for (const each of entries.values()) each.socket?.pause();
      return false;
    };
    const socket: Socket = secure
      ? tls.connect({
          ...address,
          ca: [...secure.ca],
          cert: secure.cert,
          key: secure.key,
          passphrase: secure.passphrase,
          servername: secure.serverName,
          ...(secure.checkServerName ? {} : { checkServerIdentity: () => undefined }),
        })
      : net.connect({
          ...address,
          onread: {
            buffer: Buffer.allocUnsafeSlow(readBytes),
            callback: (count, buffer) => take((buffer as Buffer).subarray(0, count)),
          },
        });
    if (secure) socket.on('data', take);
    entry.socket = socket;
    entry.timer = setTimeout(() => end(connection, `no answer within ${order.timeout} ms`), order.timeout);
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      socket.setNoDelay(true);
      // A machine that is gone does not say so.
      socket.setKeepAlive(true, 30_000);
      scope.send(connection * 4, nothing);
    });
    socket.on('error', (error: Error) => end(connection, error.message));
    socket.on('close', () => end(connection, 'the server closed the connection'));
  }

  function obey(order: SocketOrder): void {
    const { connection } = order;
    if (order.op === 'connect') {
      const entry: Entry = {
        socket: undefined,
        timer: undefined,
        heart: undefined,
        uploads: [],
        downloads: [],
        begun: undefined,
        left: 0,
        target: undefined,
        payload: 0,
        toldAt: 0,
      };
      entries.set(connection, entry);
      if (order.delay > 0) entry.timer = setTimeout(() => open(order, entry), order.delay);
      else open(order, entry);
      return;
    }
    const entry = entries.get(connection);
    if (order.op === 'close') end(connection, 'closed');
    else if (!entry) {
      if (order.op === 'drop file') fs.rmSync(order.file, { force: true });
    } else if (order.op === 'heartbeat')
      entry.heart = setInterval(() => write(entry, order.bytes), order.interval);
    else if (order.op === 'send file') sendFile(order, entry);
    else if (order.op === 'take file') takeFile(order, entry);
    else dropFile(order.file, entry);
  }

  scope.onDrain(() => {
    for (const entry of entries.values()) entry.socket?.resume();
  });
  scope.onMessage((message) => {
    if (!Array.isArray(message)) return obey(message as SocketOrder);
    const [connection, bytes] = message as [number, Uint8Array];
    const entry = entries.get(connection);
    if (entry) write(entry, bytes);
  });
}
