import { InvalidArgumentError } from '../../errors';
import { requireCapability } from '../../storage/index';
import { databaseUrl, withStorage, type Context } from '../context';
import { formatBytes, formatCount, printFacts } from '../output';
import { runWithProgress } from '../progress';

const DAY_MS = 86_400_000;

/** Options of `zodb pack`. */
export interface PackCommandOptions {
  readonly days?: string;
  readonly gc: boolean;
  readonly dryRun?: boolean;
}

/** `zodb pack`: removes old revisions and unreachable objects. */
export async function pack(
  context: Context,
  given: string | undefined,
  { days = '0', gc, dryRun = false }: PackCommandOptions,
): Promise<void> {
  const age = Number(days);
  if (days === '' || !(age >= 0)) {
    throw new InvalidArgumentError(`--days takes a number of days, not ${JSON.stringify(days)}.`, {
      code: 'USAGE',
    });
  }
  await withStorage(databaseUrl(given, context.env), 'write', (storage) => {
    requireCapability(storage, 'pack');
    const before = storage.size();
    const report = runWithProgress(context, storage.pack({ time: Date.now() - age * DAY_MS, gc, dryRun }));
    const after = storage.size();
    printFacts(context, { ...report, dryRun, sizeBefore: before, sizeAfter: after }, [
      [dryRun ? 'would remove revisions' : 'removed revisions', formatCount(report.revisions)],
      ['objects', formatCount(report.objects)],
      ['blobs', formatCount(report.blobs)],
      ['bytes of data', formatBytes(report.bytes)],
      ['size', dryRun ? formatBytes(before) : `${formatBytes(before)} → ${formatBytes(after)}`],
    ]);
  });
}
