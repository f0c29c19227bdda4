/** Where a value that can't be saved stands, as the program would write it. */
import { ROOT_OID, type Oid } from '../ids';
import type { PicklingError } from '../pickle/index';
import type { ClassMeta } from '../record/index';
import { Managed, ManagedContainer } from './managed';

/** Name under which a container's content stands in its state. */
const CONTENT = /^data(?=\.|\[)\.?/;
const NAME = /^get\(("(?:[^"\\]|\\.)*")\)/;
const IDENTIFIER = /^"([\p{ID_Start}$_][\p{ID_Continue}$]*)"$/u;

/** The path of an error in an object's state: `bank.Account.history[3]`; for the root, whose entries are attributes of `connection.root`: `root.x`, `root["a b"]`. */
export function placeOf(error: PicklingError, object: object, oid: Oid, cls: ClassMeta): string {
  if (object instanceof Managed && !(object instanceof ManagedContainer)) {
    return joined(cls, object.placeInState(error.path));
  }
  if (!(object instanceof ManagedContainer)) return joined(cls, error.path);
  const path = error.path.replace(CONTENT, '');
  const [entry, name] = oid === ROOT_OID ? (NAME.exec(path) ?? []) : [];
  if (name !== undefined)
    return `root${name.replace(IDENTIFIER, '.$1').replace(/^".*"$/s, '[$&]')}${path.slice(entry!.length)}`;
  return joined(cls, path);
}

function joined(cls: ClassMeta, path: string): string {
  return `${cls.toString()}${path === '' || path.startsWith('[') ? '' : '.'}${path}`;
}
