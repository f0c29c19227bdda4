import { registerStorageScheme, type StorageOptions } from '../../storage/index';
import { ClientStorage } from './client-storage';

/**
 * `zeo:host:port/storage`, `zeo://host:port/storage`, `zeo:host1:port,host2:port`, or `zeo:/path/of/socket?storage=1`; the
 * storage is `1` when it is not named. Options of {@link ClientStorage} go into the query.
 */
registerStorageScheme('zeo', ({ path }, options) => {
  const rest = path.replace(/^\/\/(?=[^/])/, '');
  const { storage, ...others } = options as StorageOptions & { storage?: unknown };
  const socket = rest.startsWith('/') || rest.startsWith('.');
  const slash = socket ? -1 : rest.indexOf('/');
  const address = slash < 0 ? rest : rest.slice(0, slash);
  const name = slash < 0 ? '' : rest.slice(slash + 1);
  return new ClientStorage(address, { ...others, storage: name || String(storage ?? '1') });
});
