/** Incremental backups in the layout of Python's repozo: `docs/backup.md`. */
export { backupStorage, type BackupOptions, type BackupOutcome } from './backup';
export { restoreBackup, type RestoreOptions, type RestoreOutcome } from './restore';
export { verifyBackup, type VerifyOptions, type VerifyReport } from './verify';
