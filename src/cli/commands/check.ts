import { UnsupportedError } from '../../errors';
import { requireCapability } from '../../storage/index';
import { databaseUrl, EXIT, withStorage, type Context } from '../context';
import { formatCount, printFacts, problemFacts } from '../output';
import { runWithProgress } from '../progress';

/** `zodb check`: reads everything and tells what is damaged; exit code 3 when something is. */
export async function check(context: Context, given: string | undefined): Promise<void> {
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
    if (!storage.supports.maintenance) {
      throw new UnsupportedError(
        `${storage.name} has no check of its own: whoever keeps the data can check it. References that lead nowhere are found by "zodb refs", damage in BTrees by "zodb check-btrees".`,
      );
    }
    requireCapability(storage, 'maintenance');
    const report = runWithProgress(context, storage.check());
    const { problems } = report;
    printFacts(context, report, [
      ['objects', formatCount(report.objects)],
      ['revisions', formatCount(report.revisions)],
      ...problemFacts(context, problems),
    ]);
    if (problems.length > 0) context.exitCode = EXIT.problems;
  });
}
