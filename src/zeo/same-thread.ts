/**
 * Servers that live in this thread. A client that waits for an answer stops the event loop of its thread, and so a server in it:
 * connecting the two would hang for ever.
 */
import * as os from 'node:os';
import { InvalidArgumentError } from '../errors';
import { formatAddress, type ZeoAddress } from './address';

const listening = new Set<string>();

/** Notes that a server of this thread listens there; the function returned takes it back. */
export function noteListening(address: ZeoAddress): () => void {
  const key = keyOf(address);
  listening.add(key);
  return () => listening.delete(key);
}

/** Throws `InvalidArgumentError` when a server of this thread listens at the address. */
export function refuseSameThread(address: ZeoAddress): void {
  if (!listensInThisThread(address)) return;
  throw new InvalidArgumentError(
    `The ZEO server at ${formatAddress(address)} runs in this thread. It could never answer a client that waits in the ` +
      'same thread; use its storage directly, or give the server a thread or process of its own.',
  );
}

function listensInThisThread(address: ZeoAddress): boolean {
  return listening.has(keyOf(address)) && ('path' in address || isLocal(address.host));
}

function keyOf(address: ZeoAddress): string {
  return 'path' in address ? `unix:${address.path}` : `tcp:${address.port}`;
}

function isLocal(host: string | undefined): boolean {
  if (host === undefined || host === 'localhost' || host === '::1' || host.startsWith('127.')) return true;
  if (host === os.hostname()) return true;
  return Object.values(os.networkInterfaces()).some((list) => list?.some(({ address }) => address === host));
}
