/** Databases in PostgreSQL: `new PostgresStorage(url)`, or `postgres://…` wherever a database is named. */
import { registerStorageScheme } from '../open-storage';
import { PostgresStorage } from './storage';

/** What the connection takes from a URL's query; anything else is an option of the storage, or misspelt. */
const OF_CONNECTION = [
  'host',
  'port',
  'user',
  'password',
  'ssl',
  'sslmode',
  'sslcert',
  'sslkey',
  'sslrootcert',
  'uselibpqcompat',
  'options',
  'application_name',
  'fallback_application_name',
];

export type { PostgresStorageOptions } from './options';
export { PostgresStorage };

for (const scheme of ['postgres', 'postgresql']) {
  registerStorageScheme(scheme, ({ text }, options) => {
    const [where = '', query = ''] = text.split('?');
    const ofConnection = new URLSearchParams();
    const ofStorage = { ...options };
    for (const [name, value] of new URLSearchParams(query)) {
      if (!OF_CONNECTION.includes(name)) continue;
      ofConnection.append(name, value);
      delete ofStorage[name];
    }
    const rest = ofConnection.toString();
    return new PostgresStorage(rest === '' ? where : `${where}?${rest}`, ofStorage);
  });
}
