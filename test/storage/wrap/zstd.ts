/** A zstd codec that is there at once: the suite defines its tests before anything can be awaited. */
import { loadZstd, type ZstdCodec } from '../../../src/storage';

let loaded: ZstdCodec | undefined;
beforeAll(async () => void (loaded = await loadZstd()));

function codec(): ZstdCodec {
  if (loaded === undefined) throw new Error('zstd is not loaded yet');
  return loaded;
}

export const testZstd: ZstdCodec = {
  compress: (bytes) => codec().compress(bytes),
  decompress: (bytes) => codec().decompress(bytes),
};
