import type { MvccAdapter } from '../../storage/index';
import type { ClientBlobs } from './client-blobs';
import type { Connector } from './connector';
import type { ServerLink } from './link';
import type { RecordCache } from './record-cache';
import type { ServerView } from './server-view';

/** What a client storage is made of; shared by the classes that do its work. */
export interface ClientParts {
  readonly name: string;
  readonly cache: RecordCache;
  readonly view: ServerView;
  readonly connector: Connector;
  readonly link: ServerLink;
  readonly blobs: ClientBlobs;
  readonly adapter: MvccAdapter;
}
