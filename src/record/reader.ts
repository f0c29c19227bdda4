import type { ClassMeta } from './class-meta';
import type { RecordContent, RecordReaderHooks } from './interfaces';

/** Takes records apart. One per connection: it keeps what makes the next record faster. */
export class RecordReader {
  constructor(_hooks: RecordReaderHooks) {
    throw new Error('not yet');
  }

  /** Class and state. */
  read(_record: Uint8Array): RecordContent {
    throw new Error('not yet');
  }

  /** The class alone, without decoding the state. */
  readClass(_record: Uint8Array): ClassMeta {
    throw new Error('not yet');
  }
}
