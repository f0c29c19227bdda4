/** `zodb/testing`: what a storage must do, as tests that anybody can run on theirs; and help for testing programs. */
export { storageConformance, type StorageSetup } from './conformance';
export { currentFramework, type TestFramework } from './framework';
export { withTestDb, type TestDb, type TestDbOptions } from './test-db';
export { blobRecord, record, referencesOf, textOf } from './records';
