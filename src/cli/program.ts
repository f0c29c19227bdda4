import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { types } from 'node:util';
import { Command, CommanderError, Option } from 'commander';
import { createColors } from 'picocolors';
import { ZodbError } from '../errors';
import { check } from './commands/check';
import { checkBTrees } from './commands/check-btrees';
import { dump, type DumpCommandOptions } from './commands/dump';
import { history, type HistoryCommandOptions } from './commands/history';
import { info } from './commands/info';
import { pack, type PackCommandOptions } from './commands/pack';
import { serveCommand } from './commands/serve';
import { undo } from './commands/undo';
import { EXIT, type Context } from './context';
import { addFileCommands } from './file-commands';
import { logLines } from './log-lines';
import { explain } from './output';

/** Where the command writes, and what it is told by its surroundings. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  /** Whether somebody watches: then there are progress bars. */
  readonly isTerminal: boolean;
  /** Columns of the terminal that shows results; none where they go elsewhere, and then nothing is cut. */
  readonly width?: number | undefined;
  /** Whether results may be coloured. Default false. */
  readonly hasColors?: boolean;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

const DATABASE = 'a path or URI (sqlite:, file:, …); default: the environment variable ZODB_URL';

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'Look:': ['info', 'history', 'tail', 'dump', 'space', 'classes', 'refs', 'why'],
  'Check and mend:': ['check', 'check-btrees', 'recover'],
  'Change:': ['pack', 'undo', 'import'],
  'Copy:': ['backup', 'verify-backup', 'restore', 'copy', 'export'],
  'Serve:': ['serve'],
};

const EPILOGUE = `
Examples:
  zodb info bank.sqlite
  zodb pack --days 7 bank.sqlite
  zodb copy Data.fs bank.sqlite
  zodb --json history 0x2a bank.sqlite

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 something is damaged or missing.`;

/** Runs the `zodb` command; its exit code. */
export async function runCommand(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { err } = surroundings;
  let exitCode: number = EXIT.ok;
  const program = makeProgram(surroundings, (code) => (exitCode = code));
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const code = codeOf(error);
    if (code === undefined) throw error;
    const message = explain(error as Error);
    if (args.includes('--json')) err(`${JSON.stringify({ error: code, message })}\n`);
    else err(`zodb: ${message}\n`);
    return code === 'USAGE' ? EXIT.usage : EXIT.failed;
  }
}

/** The code of an error that its message explains; none for a defect of ours, which needs its stack. */
function codeOf(error: unknown): string | undefined {
  if (error instanceof ZodbError) return error.code;
  if (error instanceof RangeError) return 'USAGE';
  // Of the system: a file that is missing, or may not be written.
  return types.isNativeError(error) && 'syscall' in error ? (error as NodeJS.ErrnoException).code : undefined;
}

function packageVersion(): string {
  const text = readFileSync(join(__dirname, '../../package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function makeProgram(surroundings: Surroundings, setExitCode: (code: number) => void): Command {
  const program = new Command('zodb')
    .description('Looks after databases of zodb.')
    .option('--version', 'the version of this package')
    .option('--json', 'results as JSON, for programs')
    .option('--quiet', 'no progress bar')
    .addHelpCommand(
      new Command('help')
        .argument('[command]')
        .description('what a command does and takes')
        .helpGroup('More:'),
    )
    .addHelpText('after', EPILOGUE);
  program.on('option:version', () => {
    surroundings.out(`${packageVersion()}\n`);
    throw new CommanderError(0, 'commander.version', 'the version');
  });
  const action = async (work: (context: Context) => Promise<void> | void): Promise<void> => {
    const { json = false, quiet = false } = program.opts<{ json?: boolean; quiet?: boolean }>();
    const { env, out, err, isTerminal, width, hasColors = false } = surroundings;
    const context: Context = {
      json,
      progress: isTerminal && !json && !quiet,
      colors: createColors(hasColors),
      width,
      env,
      out,
      err,
      exitCode: EXIT.ok,
    };
    await work(context);
    setExitCode(context.exitCode);
  };
  const command = (usage: string, description: string): Command =>
    program.command(usage).description(description);

  command('info', 'what a database is and holds')
    .argument('[database]', DATABASE)
    .action((database?: string) => action((context) => info(context, database)));
  command('check', 'read everything and tell what is damaged')
    .argument('[database]', DATABASE)
    .action((database?: string) => action((context) => check(context, database)));
  command('check-btrees', 'look for damage in every BTree: structure, order and linkage')
    .argument('[database]', DATABASE)
    .action((database?: string) => action((context) => checkBTrees(context, database)));
  command('pack', 'remove old revisions and unreachable objects')
    .argument('[database]', DATABASE)
    .option('--days <n>', 'keep what was current in the last n days; without it, only what is current now')
    .option('--no-gc', 'keep unreachable objects')
    .option('--dry-run', 'only tell what would be removed')
    .action((database: string | undefined, options: PackCommandOptions) =>
      action((context) => pack(context, database, options)),
    );
  command('history', 'the last transactions, or the revisions of one object')
    .argument('[oid]', 'as 0x2a or 42')
    .argument('[database]', DATABASE)
    .addOption(new Option('--limit <n>', 'how many').default('20', '20'))
    .action((first: string | undefined, second: string | undefined, options: HistoryCommandOptions) =>
      action((context) =>
        history(
          context,
          [first, second].filter((arg) => arg !== undefined),
          options,
        ),
      ),
    );
  command('undo', 'take transactions back, in one new transaction')
    .argument('<tid>', 'as "zodb history" shows it; several separated by commas')
    .argument('[database]', DATABASE)
    .action((tids: string, database?: string) =>
      action((context) => undo(context, tids.split(','), database)),
    );
  command('dump', 'the objects of a database, as text')
    .argument('[database]', DATABASE)
    .option('--oid <oid>', 'only this object')
    .option('--transactions', 'every transaction with its records')
    .option('--limit <n>', 'how many objects or transactions')
    .action((database: string | undefined, options: DumpCommandOptions) =>
      action((context) => dump(context, database, options)),
    );
  addFileCommands(command, action, DATABASE);
  const { width, hasColors = false, out } = surroundings;
  program.addCommand(serveCommand(width === undefined ? undefined : logLines(createColors(hasColors), out)));
  for (const each of program.commands) each.helpGroup(groupOf(each.name()));
  for (const each of [program, ...program.commands]) {
    each
      .exitOverride()
      .configureHelp({ showGlobalOptions: true })
      .configureOutput({
        writeOut: surroundings.out,
        writeErr: surroundings.err,
        outputError: (text, write) => {
          write(text.replace(/^error: /, 'zodb: '));
        },
      });
  }
  return program;
}

function groupOf(command: string): string {
  return Object.entries(GROUPS).find(([, names]) => names.includes(command))![0];
}
