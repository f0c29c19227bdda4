/** The names that Python stores the classes under, in every registry. */
import { registry, type AnyClass } from '../persistence/index';
import { families } from './families';
import { Length } from './length';

for (const family of Object.values(families)) {
  for (const collection of [family.BTree, family.Bucket, family.TreeSet, family.Set]) {
    const { name } = collection;
    // Databases of ZODB 3 name the C module; the classes of the Python implementation have a name of their own.
    const aliases = [`BTrees._${family.name}BTree.${name}`, `${family.module}.${name}Py`];
    registry.registerBuiltIn(family.module, name, collection as unknown as AnyClass, aliases);
  }
}
registry.registerBuiltIn('BTrees.Length', 'Length', Length);
