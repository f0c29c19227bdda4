import type { ZeoAddress } from '../address';
import type { ConnectorOptions } from './connector';
import { pemTexts, type ClientStorageOptions } from './options';

/** What the connector needs of the storage's options, defaults filled in. */
export function connectorOptions(
  addresses: readonly ZeoAddress[],
  options: ClientStorageOptions,
): ConnectorOptions {
  const { tls } = options;
  return {
    addresses,
    storage: options.storage ?? '1',
    readOnly: options.readOnly ?? false,
    readOnlyFallback: options.readOnlyFallback ?? false,
    tls: tls && {
      ca: pemTexts(tls.ca),
      cert: tls.cert?.toString(),
      key: tls.key?.toString(),
      passphrase: tls.passphrase,
      serverName: tls.serverName,
      checkServerName: tls.checkServerName ?? true,
    },
    label: options.clientLabel,
    maxMessageBytes: options.maxMessageBytes ?? 1 << 30,
    connectTimeout: options.connectTimeout ?? 10_000,
    retryDelay: options.retryDelay ?? 1000,
  };
}
