import * as zlib from 'node:zlib';

/** CRC-32 (as zlib's) of `bytes`, continuing from `value`. Node has it natively from 20.15 on. */
export const crc32: (bytes: Uint8Array, value: number) => number =
  typeof zlib.crc32 === 'function' ? zlib.crc32 : portableCrc32;

/** @internal the same without native help */
export function portableCrc32(bytes: Uint8Array, value: number): number {
  let crc = ~value;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb8_8320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});
