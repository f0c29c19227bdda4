/** Storages over storages: compressed, encrypted. */
export { loadZstd, ZlibStorage, ZstdStorage, type ZlibStorageOptions, type ZstdCodec } from './compression';
export { EncryptedStorage, type EncryptedStorageOptions } from './encryption';
export { encryptionKeys } from './key-source';
export type { BlobTransform, RecordTransform } from './transform';
export { TransformStorage } from './transform-storage';
