/** Layers over the real disk: one that fails at a chosen call, one that forgets what was not synced. */
import * as fs from 'node:fs';
import { nodeFileSystem, type FileSystem } from '../../../src/storage/file/file-system';

/** Fails at call number `failAt` (from 0), and at all later ones when `forGood`. */
export class FaultySystem implements FileSystem {
  calls = 0;
  failed = 0;
  readonly #failAt: number;
  readonly #forGood: boolean;
  readonly #code: string;

  constructor(failAt: number, { code = 'EIO', forGood = false } = {}) {
    this.#failAt = failAt;
    this.#forGood = forGood;
    this.#code = code;
  }

  #step(call: string): void {
    const number = this.calls++;
    if (number === this.#failAt || (this.#forGood && number > this.#failAt)) {
      this.failed++;
      throw Object.assign(new Error(`${this.#code}: injected at call ${number}, ${call}`), {
        code: this.#code,
      });
    }
  }

  open(path: string, flags: string): number {
    this.#step(`open ${path}`);
    return nodeFileSystem.open(path, flags);
  }
  close(fd: number): void {
    nodeFileSystem.close(fd);
  }
  read(fd: number, target: Uint8Array, offset: number, length: number, position: number): number {
    this.#step('read');
    return nodeFileSystem.read(fd, target, offset, length, position);
  }
  write(fd: number, source: Uint8Array, offset: number, length: number, position: number): number {
    const number = this.calls;
    try {
      this.#step('write');
    } catch (error) {
      // A full disk takes a part first.
      if (this.#code === 'ENOSPC' && length > 1 && number === this.#failAt) {
        nodeFileSystem.write(fd, source, offset, length >> 1, position);
      }
      throw error;
    }
    // Short writes are legal at any time.
    return nodeFileSystem.write(fd, source, offset, length > 100 ? length - 7 : length, position);
  }
  truncate(fd: number, length: number): void {
    this.#step('truncate');
    nodeFileSystem.truncate(fd, length);
  }
  sync(fd: number): void {
    this.#step('sync');
    nodeFileSystem.sync(fd);
  }
  syncDirectory(path: string): void {
    this.#step('syncDirectory');
    nodeFileSystem.syncDirectory(path);
  }
  size(path: string): number {
    return nodeFileSystem.size(path);
  }
  sizeOf(fd: number): number {
    return nodeFileSystem.sizeOf(fd);
  }
  identity(path: string): string | undefined {
    return nodeFileSystem.identity(path);
  }
  identityOf(fd: number): string {
    return nodeFileSystem.identityOf(fd);
  }
  rename(from: string, to: string): void {
    this.#step(`rename ${from}`);
    nodeFileSystem.rename(from, to);
  }
  remove(path: string): void {
    this.#step(`remove ${path}`);
    nodeFileSystem.remove(path);
  }
}

/**
 * Keeps aside what of each file was synced. {@link crash} gives the disk as a power cut may leave it: of what was not
 * synced, some 512-byte sectors are there and some are not, as `keep` says.
 */
export class ForgetfulSystem implements FileSystem {
  readonly #synced = new Map<string, Buffer>();
  readonly #paths = new Map<number, string>();

  crash(path: string, keep: (sector: number) => boolean): Buffer {
    const now = fs.readFileSync(path);
    const synced = this.#synced.get(path) ?? Buffer.alloc(0);
    const left = Buffer.alloc(now.length);
    for (let start = 0; start < now.length; start += 512) {
      const end = Math.min(start + 512, now.length);
      if (keep(start / 512)) now.copy(left, start, start, end);
      else if (start < synced.length) synced.copy(left, start, start, Math.min(end, synced.length));
    }
    // The length may have reached the disk or not.
    return keep(-1) ? left : left.subarray(0, Math.max(synced.length, 0));
  }

  open(path: string, flags: string): number {
    const fd = nodeFileSystem.open(path, flags);
    this.#paths.set(fd, path);
    return fd;
  }
  close(fd: number): void {
    this.#paths.delete(fd);
    nodeFileSystem.close(fd);
  }
  read(...args: Parameters<FileSystem['read']>): number {
    return nodeFileSystem.read(...args);
  }
  write(...args: Parameters<FileSystem['write']>): number {
    return nodeFileSystem.write(...args);
  }
  truncate(fd: number, length: number): void {
    nodeFileSystem.truncate(fd, length);
  }
  sync(fd: number): void {
    nodeFileSystem.sync(fd);
    const path = this.#paths.get(fd)!;
    this.#synced.set(path, fs.readFileSync(path));
  }
  syncDirectory(path: string): void {
    nodeFileSystem.syncDirectory(path);
  }
  size(path: string): number {
    return nodeFileSystem.size(path);
  }
  sizeOf(fd: number): number {
    return nodeFileSystem.sizeOf(fd);
  }
  identity(path: string): string | undefined {
    return nodeFileSystem.identity(path);
  }
  identityOf(fd: number): string {
    return nodeFileSystem.identityOf(fd);
  }
  rename(from: string, to: string): void {
    nodeFileSystem.rename(from, to);
    const synced = this.#synced.get(from);
    if (synced !== undefined) this.#synced.set(to, synced);
    for (const [fd, path] of this.#paths) if (path === from) this.#paths.set(fd, to);
  }
  remove(path: string): void {
    nodeFileSystem.remove(path);
  }
}
