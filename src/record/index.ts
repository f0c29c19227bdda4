/** Data records taken apart and put together: class metadata, state, references. */
export { ClassMeta, type ClassForm } from './class-meta';
export { FieldKind, FieldList } from './field-list';
export type {
  ForeignReference,
  ItemFormSource,
  RecordContent,
  RecordReaderHooks,
  RecordWriterHooks,
  Reference,
  ScannedReference,
  StrongReference,
  WeakReference,
} from './interfaces';
export { RecordReader } from './reader';
export { RecordWriter } from './writer';
export { className, readClass, references, rewriteReferences, scanReferences } from './scanner';
export { readStructure, StoredReference, structureHooks, type RecordStructure } from './structure';
export { ItemForm, Items } from './items';
