/** `zodb/btrees`: ordered persistent collections, as Python's BTrees. */
export * from './families';
export { Family, BTree, Bucket, TreeSet, LeafSet } from './family';
export { Mapping } from './mapping';
export { KeySet } from './key-set';
export { mergeLength } from './conflict';
export * from './errors';
