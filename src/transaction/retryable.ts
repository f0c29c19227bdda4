import { TransientError } from './errors';
import type { DataManager } from './interfaces';

/**
 * Whether running a transaction again may help: the error says so itself (`retryable`, as {@link TransientError} and
 * `ConflictError` do, also those of another copy of this package), or a data manager does.
 */
export function isRetryable(error: unknown, resources: readonly DataManager[] | null): boolean {
  if (error instanceof TransientError) return true;
  if (typeof error === 'object' && error !== null && (error as { retryable?: unknown }).retryable === true) {
    return true;
  }
  return resources?.some((manager) => manager.shouldRetry?.(error) === true) ?? false;
}
