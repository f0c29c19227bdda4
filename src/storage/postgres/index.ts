/** Databases in PostgreSQL: `new PostgresStorage(url)`, or `postgres://…` wherever a database is named. */
import { registerStorageScheme } from '../open-storage';
import { OPTION_NAMES } from './options';
import { PostgresStorage } from './storage';

export type { PostgresStorageOptions } from './options';
export { PostgresStorage };

for (const scheme of ['postgres', 'postgresql']) {
  registerStorageScheme(scheme, ({ text }, options) => {
    // Options of the storage stand in the query beside those of the connection, such as sslmode.
    const [where = '', query = ''] = text.split('?');
    const ofConnection = new URLSearchParams(query);
    for (const name of OPTION_NAMES) ofConnection.delete(name);
    const ofStorage = { ...options };
    for (const name of ofConnection.keys()) delete ofStorage[name];
    const rest = ofConnection.toString();
    return new PostgresStorage(rest === '' ? where : `${where}?${rest}`, ofStorage);
  });
}
