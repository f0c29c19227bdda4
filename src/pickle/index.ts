/** This room's door for the others: what is public, and the readers and writers that records are made with. */
export * from './public';
export { PreparedNames, wordsOf } from './prepared-names';
export { PickleReader, type InternalReaderOptions } from './reader';
export { define } from './shapes';
export { WriteAs } from './write-as';
export { PickleWriter, type InternalWriterOptions } from './writer';
