/** Merging: three records of one object in, one record or nothing out. */
export { PersistentReference, ReferenceComparisonError } from './persistent-reference';
export { resolveConflict, unresolved, type ConflictRecords, type UnresolvedMessage } from './resolve';
