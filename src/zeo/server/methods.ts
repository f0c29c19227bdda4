/**
 * The calls of a client, by their names on the wire (`ZEO/src/ZEO/StorageServer.py`). A method returns its result, or a
 * promise of it for work that others need not wait for.
 */
import { InvalidArgumentError, StorageError, UnsupportedError } from '../../errors';
import { oidToBytes, tidToBytes } from '../../ids';
import { requireCapability, TransactionMetaData } from '../../storage/index';
import {
  argumentsOf,
  bytesArgument,
  integerArgument,
  numberArgument,
  oidArgument,
  optionalTid,
  stringArgument,
  textBytes,
  tidArgument,
  WireTypeError,
} from '../wire/arguments';
import { extensionBytes, historyToWire, tidOfUndoId } from '../wire/metadata';
import { itemsOf, tuple, type WireValue } from '../wire/values';
import { BlobUpload } from './blob-transfer';
import { describeStorage } from './describe-storage';
import { extensions } from './extensions';
import type { Later } from './later';
import { nextRecord } from './record-cursor';
import { runBetween } from './run-between';
import type { Session } from './session';
import { undoInfo } from './undo-info';

/** A method's result: a value, or the promise of one. */
export type MethodResult = WireValue | undefined | Promise<WireValue | undefined> | Later;

/** What a method is called with. */
export interface MethodContext {
  readonly session: Session;
  /** Who the client says it is. */
  setLabel(label: string): void;
  /** Counters and state of the storage. */
  status(): WireValue;
  /** Sends a blob in one-way messages, as fast as the client takes them. */
  sendBlob(oid: Uint8Array, tid: Uint8Array): Promise<void>;
}

/** A method and how many arguments it takes. */
export interface Method {
  readonly least: number;
  readonly most: number;
  readonly run: (context: MethodContext, args: readonly WireValue[]) => MethodResult;
}

/** New oids handed out by one call; Python's number. */
const MOST_OIDS = 100;

const methods = new Map<string, Method>(extensions);

function method(name: string, least: number, most: number, run: Method['run']): void {
  methods.set(name, { least, most, run });
}

/** Runs a method. Throws {@link UnknownMethodError} for a name that is none. */
export function callMethod(context: MethodContext, name: string, args: WireValue): MethodResult {
  const found = methods.get(name);
  if (!found) throw new UnknownMethodError(name);
  return found.run(context, argumentsOf(name, args, found.least, found.most));
}

/** The client asked for what is no method: the connection is closed. */
export class UnknownMethodError extends StorageError {
  constructor(name: string) {
    super(`There is no method ${JSON.stringify(name.slice(0, 60))}.`, { code: 'ZEO_UNKNOWN_METHOD' });
  }
}

method('loadBefore', 2, 2, ({ session }, [oid, tid]) => {
  session.hosted.stats.loads++;
  const record = session.storage.loadBefore(oidArgument(oid), tidArgument(tid));
  if (record === undefined) return null;
  return tuple(
    record.data,
    tidToBytes(record.serial),
    record.end === undefined ? null : tidToBytes(record.end),
  );
});
method(
  'loadSerial',
  2,
  2,
  ({ session }, [oid, tid]) => session.storage.loadSerial(oidArgument(oid), tidArgument(tid)).data,
);
method('getTid', 1, 1, ({ session }, [oid]) => tidToBytes(session.storage.load(oidArgument(oid)).serial));
method('get_info', 0, 0, ({ session }) => describeStorage(session.hosted));
method('lastTransaction', 0, 0, ({ session }) => tidToBytes(session.hosted.lastTransaction()));
method('getInvalidations', 1, 1, ({ session }, [tid]) => {
  const changes = session.hosted.changesSince(tidArgument(tid));
  if (!changes) return null;
  return tuple(
    tidToBytes(changes.tid),
    Array.from(changes.oids, (oid) => oidToBytes(oid)),
  );
});
method('ping', 0, 0, ({ session }) => {
  session.hosted.lastTransaction();
  return null;
});
method('set_client_label', 1, 1, ({ setLabel }, [label]) => {
  setLabel(stringArgument(label, 'A label').slice(0, 200));
  return null;
});
method('server_status', 0, 0, ({ status }) => status());
method('new_oids', 0, 1, ({ session }, [wanted]) => {
  session.checkWritable();
  const count = wanted === undefined ? MOST_OIDS : integerArgument(wanted, 'A number of oids');
  return Array.from({ length: Math.max(1, Math.min(MOST_OIDS, count)) }, () =>
    oidToBytes(session.storage.newOid()),
  );
});
method('history', 1, 2, ({ session }, [oid, size]) => {
  requireCapability(session.storage, 'history');
  const object = oidArgument(oid);
  const count = size === undefined ? 1 : integerArgument(size, 'The size of a history');
  return session.storage.history(object, count).map((entry) => historyToWire(entry));
});
method('record_iternext', 0, 1, ({ session }, [from]) => nextRecord(session, from ?? null));
method('undoLog', 2, 2, ({ session }, [first, last]) => undoInfo(session.storage, first, last, null));
method('undoInfo', 2, 3, ({ session }, [first, last, filter]) =>
  undoInfo(session.storage, first, last, filter ?? null),
);
method('pack', 1, 2, ({ session }, [time, wait]) => {
  const { hosted, storage } = session;
  requireCapability(storage, 'pack');
  const steps = storage.pack({
    time: numberArgument(time, 'The pack time') * 1000,
    gc: hosted.options.packGc,
  });
  const done = runBetween(steps).then(() => {
    hosted.broadcastSize();
    return null;
  });
  if (wait === undefined || wait === true || wait === 1) return done;
  done.catch((error: unknown) => hosted.reportPackFailure(error));
  return null;
});

method('tpc_begin', 4, 6, ({ session }, [id, user, description, extension, tid, status]) => {
  const meta = new TransactionMetaData({
    user: Uint8Array.from(textBytes(user, 'The user')),
    description: Uint8Array.from(textBytes(description, 'The description')),
    extension: extensionBytes(extension),
  });
  const state = status === undefined ? ' ' : stringArgument(status, 'The status');
  session.begin(id, meta, optionalTid(tid), state === 'p' ? 'p' : ' ');
  return null;
});
method('storea', 4, 4, ({ session }, [oid, serial, data, id]) => {
  session.add(id, (log) => ({
    op: 'store',
    oid: oidArgument(oid),
    serial: serial === null ? tidArgument(NO_TID) : tidArgument(serial),
    data: log.keep(bytesArgument(data, 'A record')),
  }));
  return null;
});
const NO_TID = Buffer.alloc(8);
method('restorea', 5, 5, ({ session }, [oid, _serial, data, from, id]) => {
  session.add(id, (log) => ({
    op: 'restore',
    oid: oidArgument(oid),
    data: data === null ? null : log.keep(bytesArgument(data, 'A record')),
    dataTid: optionalTid(from),
  }));
  return null;
});
method('deleteObject', 3, 3, ({ session }, [oid, serial, id]) => {
  session.add(id, () => ({ op: 'delete', oid: oidArgument(oid), serial: tidArgument(serial) }));
  return null;
});
method('checkCurrentSerialInTransaction', 3, 3, ({ session }, [oid, serial, id]) => {
  session.add(id, () => ({ op: 'check', oid: oidArgument(oid), serial: tidArgument(serial) }));
  return null;
});
method('undoa', 2, 2, ({ session }, [transaction, id]) => {
  const tid = tidOfUndoId(textBytes(transaction, 'A transaction id'));
  session.add(id, () => ({ op: 'undo', tid }));
  return null;
});
method('vote', 1, 1, ({ session }, [id]) => session.vote(id));
method('tpc_finish', 1, 1, ({ session }, [id]) => {
  const tid = session.finish(id);
  return tid === null ? null : tidToBytes(tid);
});
method('tpc_abort', 1, 1, ({ session }, [id]) => {
  session.abort(id);
  return null;
});

method('storeBlobStart', 0, 0, ({ session }) => {
  session.checkWritable();
  requireCapability(session.storage, 'blobs');
  if (session.upload) throw new StorageError('A blob is being sent already.');
  session.upload = new BlobUpload(session.storage.blobDirectory());
  return null;
});
method('storeBlobChunk', 1, 1, ({ session }, [chunk]) => {
  if (!session.upload) throw new StorageError('A blob chunk came before the start of its blob.');
  session.upload.write(bytesArgument(chunk, 'A blob chunk'));
  return null;
});
method('storeBlobEnd', 4, 4, ({ session }, [oid, serial, data, id]) => {
  const upload = session.upload;
  if (!upload) throw new StorageError('The end of a blob came before its start.');
  session.add(id, (log) => ({
    op: 'blob',
    oid: oidArgument(oid),
    serial: tidArgument(serial),
    data: log.keep(bytesArgument(data, 'A record')),
    path: upload.finish(),
  }));
  session.upload = undefined;
  return null;
});
method('storeBlobShared', 5, 5, ({ session }, [oid, serial, data, name, id]) => {
  const file = stringArgument(name, 'A file name');
  if (!/^[^/\\\0]+\.tmp[^/\\\0]?$/.test(file)) {
    throw new InvalidArgumentError(
      `${JSON.stringify(file.slice(0, 100))} is not the name of an uploaded blob.`,
    );
  }
  const directory = session.hosted.sharedBlobDirectory(oidArgument(oid));
  if (directory === undefined) throw new UnsupportedError('This storage shares no blob directory.');
  session.add(id, (log) => ({
    op: 'blob',
    oid: oidArgument(oid),
    serial: tidArgument(serial),
    data: log.keep(bytesArgument(data, 'A record')),
    path: `${directory}/${file}`,
  }));
  return null;
});
method('sendBlob', 2, 2, async ({ sendBlob }, [oid, tid]) => {
  await sendBlob(bytesArgument(oid, 'An oid'), bytesArgument(tid, 'A tid'));
  return null;
});

method('iterator_start', 2, 2, ({ session }, [start, stop]) => {
  requireCapability(session.storage, 'iterate');
  return session.iterators.start(session.storage.iterate(optionalTid(start), optionalTid(stop)));
});
method('iterator_next', 1, 1, ({ session }, [id]) =>
  session.iterators.next(integerArgument(id, 'An iterator')),
);
method('iterator_record_start', 2, 2, ({ session }, [id, tid]) =>
  session.iterators.startRecords(integerArgument(id, 'An iterator'), tidArgument(tid)),
);
method('iterator_record_next', 1, 1, ({ session }, [id]) =>
  session.iterators.nextRecord(integerArgument(id, 'An iterator')),
);
method('iterator_gc', 1, 1, ({ session }, [ids]) => {
  const list = itemsOf(ids);
  if (!list) throw new WireTypeError('The iterators must be a list.');
  for (const id of list) session.iterators.drop(integerArgument(id, 'An iterator'));
  return null;
});
