import type { ClassMeta } from './class-meta';

/** A record as plain structure, for tools: no class is needed, references are {@link PersistentId}s. */
export interface RecordStructure {
  readonly cls: ClassMeta;
  readonly state: unknown;
}

/** Decodes a record for people and tools; references stand in the state as {@link Reference} objects. */
export function readStructure(_record: Uint8Array): RecordStructure {
  throw new Error('not yet');
}
