import { requireCapability } from '../../storage/index';
import { databaseUrl, EXIT, withStorage, type Context } from '../context';
import { formatCount, printFacts } from '../output';
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
      ['problems', problems.length === 0 ? 'none' : String(problems.length)],
      ...problems.map((problem): [string, string] => ['', problem]),
    ]);
    if (problems.length > 0) context.exitCode = EXIT.problems;
  });
}
