/** The commands for moving, mending and understanding databases. */
import { Option, type Command } from 'commander';
import { backup, restore } from './commands/backup';
import { classes, type ClassesCommandOptions } from './commands/classes';
import { copy } from './commands/copy';
import { exportObject, importObject, type ImportCommandOptions } from './commands/export-import';
import { recover, type RecoverCommandOptions } from './commands/recover';
import { refs, why } from './commands/references';
import { backupInto, isRepository, restoreFrom, verify, type RepositoryOptions } from './commands/repository';
import { space } from './commands/space';
import { tail, type TailCommandOptions } from './commands/tail';
import { databaseUrl, type Context } from './context';

type MakeCommand = (usage: string, description: string) => Command;
type RunAction = (work: (context: Context) => Promise<void> | void) => Promise<void>;

/** Adds the commands to a program. */
export function addFileCommands(command: MakeCommand, action: RunAction, database: string): void {
  addBackupCommands(command, action, database);
  command('copy', 'all transactions of a database into another one, of any kind')
    .argument('<source>', 'path or URI')
    .argument('<target>', 'path or URI; what it has already is continued')
    .action((source: string, target: string) => action((context) => copy(context, source, target)));
  command('recover', 'copy what is whole in a damaged Data.fs')
    .argument('<damaged>', 'path')
    .argument('<new>', 'path of the new file')
    .option('--partial', 'keep whole records of damaged transactions')
    .action((source: string, target: string, options: RecoverCommandOptions) =>
      action((context) => recover(context, source, target, options)),
    );
  command('export', 'an object and all it leads to, as a file that Python reads too')
    .argument('<oid>', 'as 0x2a or 42')
    .argument('<file>', 'path, usually .zexp')
    .argument('[database]', database)
    .action((oid: string, file: string, given?: string) =>
      action((context) => exportObject(context, oid, file, given)),
    );
  command('import', 'an exported object, under a key of the root')
    .argument('<file>', 'path of the exported file')
    .argument('<key>', 'key in the root')
    .argument('[database]', database)
    .option('--replace', 'also when the root has that key already')
    .action((file: string, key: string, given: string | undefined, options: ImportCommandOptions) =>
      action((context) => importObject(context, file, key, given, options)),
    );
  command('refs', 'what refers to an object; without one, references to nothing')
    .argument('[oid]', 'as 0x2a or 42')
    .argument('[database]', database)
    .action((oid?: string, given?: string) =>
      action((context) =>
        refs(
          context,
          [oid, given].filter((arg) => arg !== undefined),
        ),
      ),
    );
  command('why', 'the path from the root that keeps an object')
    .argument('<oid>', 'as 0x2a or 42')
    .argument('[database]', database)
    .action((oid: string, given?: string) => action((context) => why(context, oid, given)));
  command('space', 'objects and bytes of each class')
    .argument('[database]', database)
    .action((given?: string) => action((context) => space(context, given)));
  command('tail', 'the last transactions, newest first')
    .argument('[database]', database)
    .addOption(new Option('--limit <n>', 'how many').default('10', '10'))
    .action((given: string | undefined, options: TailCommandOptions) =>
      action((context) => tail(context, given, options)),
    );
  command('classes', 'the classes of a database and their fields')
    .argument('[database]', database)
    .addOption(new Option('--emit <language>', 'ts: decorated TypeScript classes').choices(['ts']))
    .addOption(new Option('--sample <n>', 'objects of each class to look at').default('1000', '1000'))
    .action((given: string | undefined, options: ClassesCommandOptions) =>
      action((context) => classes(context, given, options)),
    );
}

function addBackupCommands(command: MakeCommand, action: RunAction, database: string): void {
  command('backup', 'a consistent copy of a database in use, or an increment into a directory of backups')
    .argument('<target>', 'path of the copy, which must not exist; or a directory')
    .argument('[database]', database)
    .option('--incremental', 'the target is a directory of backups, to be made')
    .option('--full', 'a whole backup, not an increment')
    .option('--gzip', 'compress')
    .option('--quick', 'trust the checksum of the last increment')
    .option('--remove-old', 'remove earlier backups after a whole one')
    .action((target: string, given: string | undefined, options: RepositoryOptions) =>
      action((context) =>
        isRepository(target, options)
          ? backupInto(context, target, given, options)
          : backup(context, target, given),
      ),
    );
  command('restore', 'a new database from a backup, or from a database of another kind')
    .argument('<source>', 'a directory of backups, or path or URI of a database')
    .argument('[database]', `the new one: ${database}`)
    .option('--at <time>', 'as it was at this moment: 2026-01-31T12:00:00Z (from a directory of backups)')
    .action((source: string, given: string | undefined, { at }: { at?: string }) =>
      action((context) =>
        isRepository(source)
          ? restoreFrom(context, source, databaseUrl(given, context.env), at)
          : restore(context, source, given),
      ),
    );
  command('verify-backup', 'compare the files of a directory of backups with their checksums')
    .argument('<directory>', 'the directory')
    .option('--quick', 'look at lengths only')
    .action((directory: string, options: RepositoryOptions) =>
      action((context) => verify(context, directory, options)),
    );
}
