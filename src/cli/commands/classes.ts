import { readStructure } from '../../record/index';
import { requireCapability, type Storage } from '../../storage/index';
import { countOf } from '../arguments';
import { databaseUrl, withStorage, type Context } from '../context';
import { printRows } from '../output';
import { emitTypeScript } from '../emit-typescript';
import { ClassSurvey, type SurveyedClass } from '../class-survey';

/** Options of `zodb classes`. */
export interface ClassesCommandOptions {
  readonly emit?: string;
  readonly sample?: string;
}

/** `zodb classes`: the classes of a database; with `--emit ts` as decorated TypeScript classes to begin with. */
export async function classes(
  context: Context,
  given: string | undefined,
  { emit, sample = '1000' }: ClassesCommandOptions,
): Promise<void> {
  const looked = countOf('sample', sample);
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    const found = survey(storage, looked);
    if (emit === 'ts') {
      context.out(emitTypeScript(found));
      return;
    }
    const rows = found.map(({ module, name, objects, fields }) => ({
      class: `${module}.${name}`,
      objects,
      fields: context.json ? [...fields.keys()] : [...fields.keys()].join(', '),
    }));
    printRows(context, rows, ['class', 'objects', 'fields']);
  });
}

/** Looks at up to `sample` objects of each class. */
function survey(storage: Storage, sample: number): SurveyedClass[] {
  requireCapability(storage, 'currentRecords');
  const found = new ClassSurvey();
  for (const { data } of storage.currentRecords()) {
    const { cls, state } = readStructure(data);
    found.add(cls.module, cls.name, state, sample);
  }
  return found.classes;
}
