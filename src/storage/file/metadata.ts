import { InvalidArgumentError } from '../../errors';
import type { TransactionMetaData } from '../transaction-meta';
import { MAX_METADATA, type Metadata } from './format';

/** The texts of a transaction, as a `Data.fs` takes them. `InvalidArgumentError` when it has no room for one. */
export function metadataOf(txn: TransactionMetaData): Metadata {
  const metadata = { user: txn.userBytes, description: txn.descriptionBytes, extension: txn.extensionBytes };
  for (const [name, bytes] of Object.entries(metadata)) {
    if (bytes.length > MAX_METADATA) {
      throw new InvalidArgumentError(
        `The ${name} of a transaction takes ${bytes.length} bytes; a Data.fs has room for ${MAX_METADATA}.`,
      );
    }
  }
  return metadata;
}
