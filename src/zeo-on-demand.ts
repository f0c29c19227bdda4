/**
 * `zeo:` URIs without the network's code, which few programs need: their first use loads it, and it then registers itself
 * in this one's place.
 */
import { isStorageScheme, openStorage, registerStorageScheme } from './storage/index';

if (!isStorageScheme('zeo')) {
  registerStorageScheme('zeo', ({ text }, options) => {
    // No import(): databases are opened synchronously. Bundlers follow this as they do an import.
    require('./zeo/index');
    return openStorage(text, options);
  });
}
