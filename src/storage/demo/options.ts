import { refuseUnknownOptions } from '../../errors';
import type { Storage } from '../interfaces';

/** Options of {@link DemoStorage}. */
export interface DemoStorageOptions {
  /** What is below; never changed. Default an empty storage in memory. */
  readonly base?: Storage;
  /** Where changes go. Default a storage in memory. It needs `history`. */
  readonly changes?: Storage;
  /** Whether `close` closes them. Default true. */
  readonly closeBase?: boolean;
  readonly closeChanges?: boolean;
}

/** @throws InvalidArgumentError for an option that there is not */
export function checkOptions(options: DemoStorageOptions): void {
  refuseUnknownOptions('Demo storage', options, ['base', 'changes', 'closeBase', 'closeChanges']);
}
