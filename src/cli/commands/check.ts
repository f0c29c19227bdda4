import { requireCapability } from '../../storage/index';
import { databaseUrl, EXIT, withStorage, type Context } from '../context';
import { formatCount, printFacts, problemFacts } from '../output';
import { runWithProgress } from '../progress';

/** `zodb check`: reads everything and tells what is damaged; exit code 3 when something is. */
export async function check(context: Context, given: string | undefined): Promise<void> {
  await withStorage(databaseUrl(given, context.env), 'read', (storage) => {
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
