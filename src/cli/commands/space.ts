import { className } from '../../record/index';
import { requireCapability } from '../../storage/index';
import { databaseUrl, withStorage, type Context } from '../context';
import { formatBytes, formatCount, printRows } from '../output';

/** `zodb space`: objects and bytes of each class, the largest first. */
export async function space(context: Context, given: string | undefined): Promise<void> {
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    requireCapability(storage, 'currentRecords');
    const classes = new Map<string, { objects: number; bytes: number }>();
    for (const { data } of storage.currentRecords()) {
      const name = className(data);
      let entry = classes.get(name);
      if (entry === undefined) classes.set(name, (entry = { objects: 0, bytes: 0 }));
      entry.objects++;
      entry.bytes += data.length;
    }
    const sorted = [...classes].sort(([, a], [, b]) => b.bytes - a.bytes);
    const rows = sorted.map(([name, { objects, bytes }]) =>
      context.json
        ? { class: name, objects, bytes }
        : {
            class: name,
            objects: formatCount(objects),
            bytes: formatBytes(bytes),
            each: formatBytes(Math.round(bytes / objects)),
          },
    );
    printRows(context, rows, ['class', 'objects', 'bytes', 'each']);
  });
}
