import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Oid } from '../../ids';
import { runSteps, type Storage } from '../../storage';
import type { Suite } from '../conformance';
import { Harness } from '../harness';
import { textOf } from '../records';

/** Bytes flipped in turn; a storage that keeps checksums should be held to all of them, in a test of its own. */
const FLIPS = 60;

/** Damage is an error, or is of no consequence; it is never silently other data. */
export function corruptionPart({ setup, test }: Suite): void {
  if (!setup.files || !setup.reopen) return;
  test('a damaged file gives errors or what was stored, never something else', (h, also) => {
    const texts = new Map<Oid, string>();
    for (let count = 0; count < 20; count++) {
      const text = `object ${count} `.repeat(5);
      texts.set(h.create(text).oid, text);
    }
    const last = h.storage.lastTransaction();
    h.storage.close();
    for (const path of setup.files!(h.storage)) {
      const whole = readFileSync(path);
      for (let flip = 0; flip < FLIPS; flip++) {
        const damaged = Buffer.from(whole);
        const at = Math.floor((whole.length * (flip + 0.5)) / FLIPS);
        damaged[at]! ^= 1 << (flip % 8);
        writeFileSync(path, damaged);
        readAll(() => also(setup.reopen!(h.storage)), texts, `byte ${at} of ${path}`);
      }
      writeFileSync(path, whole);
    }
    const again = new Harness(also(setup.reopen!(h.storage)));
    assert.equal(again.storage.lastTransaction(), last);
    for (const [oid, text] of texts) assert.equal(again.text(oid), text);
  });
}

/** Reads every object, and checks the file; each call gives what was stored or throws. */
export function readAll(open: () => Storage, texts: ReadonlyMap<Oid, string>, where: string): number {
  let errors = 0;
  let storage: Storage;
  try {
    storage = open();
  } catch (error) {
    assert.ok(error instanceof Error);
    return 1;
  }
  try {
    for (const [oid, text] of texts) {
      let data: Uint8Array;
      try {
        ({ data } = storage.load(oid));
      } catch (error) {
        assert.ok(error instanceof Error && 'code' in error, String(error));
        errors++;
        continue;
      }
      assert.equal(textOf(data), text, where);
    }
    if (storage.check) errors += runSteps(storage.check()).problems.length;
  } finally {
    storage.close();
  }
  return errors;
}
