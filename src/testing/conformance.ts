import type { Storage, StorageSupports } from '../storage';
import { currentFramework, type TestFramework } from './framework';
import { Harness } from './harness';
import { blobsPart } from './parts/blobs';
import { basicPart } from './parts/basic';
import { closedPart } from './parts/closed';
import { conflictPart } from './parts/conflict';
import { corruptionPart } from './parts/corruption';
import { currentRecordsPart } from './parts/current-records';
import { deleteObjectPart } from './parts/delete-object';
import { historyPart } from './parts/history';
import { iteratePart } from './parts/iterate';
import { packPart } from './parts/pack';
import { persistencePart } from './parts/persistence';
import { readOnlyPart } from './parts/read-only';
import { restorePart } from './parts/restore';
import { revisionPart } from './parts/revision';
import { snapshotPart } from './parts/snapshot';
import { synchronisationPart } from './parts/synchronisation';
import { undoPart } from './parts/undo';

/** How the suite gets at the storage under test. */
export interface StorageSetup {
  /** Names the suite. */
  readonly name: string;
  /** A storage on a new, empty database. The suite closes it. */
  open(): Storage;
  /** Closes a storage and opens its database again; asked where `supports.persistent`. */
  reopen?(storage: Storage): Storage;
  /** Opens a storage's database a second time, for reading only, beside or instead of the first. */
  openReadOnly?(storage: Storage): Storage;
  /** Opens a storage's database a second time, as another process would; asked where `supports.multiProcess`. */
  openAgain?(storage: Storage): Storage;
  /** The files of a closed storage's database, to be damaged. */
  files?(storage: Storage): readonly string[];
  /** Removes what `open` made; called after each test, with closed storages. */
  clean?(): void;
}

/** What a part of the suite gets. */
export interface Suite {
  readonly setup: StorageSetup;
  readonly supports: StorageSupports;
  /** A test on a new database; storages given to `also` are closed with it. */
  test(
    name: string,
    run: (harness: Harness, also: (storage: Storage) => Storage) => void | Promise<void>,
  ): void;
}

const PARTS: [name: string, part: (suite: Suite) => void, asked?: (supports: StorageSupports) => boolean][] =
  [
    ['basic', basicPart],
    ['revisions', revisionPart],
    ['snapshots', snapshotPart],
    ['synchronisation', synchronisationPart],
    ['conflict resolution', conflictPart],
    ['history', historyPart, (supports) => supports.history],
    ['read-only', readOnlyPart],
    ['iteration', iteratePart, (supports) => supports.iterate],
    ['restore and copy', restorePart, (supports) => supports.restore && supports.iterate],
    ['undo', undoPart, (supports) => supports.undo],
    ['pack', packPart, (supports) => supports.pack],
    ['blobs', blobsPart, (supports) => supports.blobs],
    ['external garbage collection', deleteObjectPart, (supports) => supports.deleteObject],
    ['current records', currentRecordsPart, (supports) => supports.currentRecords],
    ['persistence', persistencePart, (supports) => supports.persistent],
    ['corruption', corruptionPart, (supports) => supports.persistent],
    ['closed', closedPart],
  ];

/**
 * Defines the tests that every storage must pass, each part only where `supports` promises it. Under jest and its kin the
 * global functions are used, else node:test.
 */
export function storageConformance(setup: StorageSetup, framework: TestFramework = currentFramework()): void {
  const probe = setup.open();
  const { supports } = probe;
  probe.close();
  setup.clean?.();
  framework.describe(`storage conformance: ${setup.name}`, () => {
    for (const [name, part, asked] of PARTS) {
      if (asked && !asked(supports)) continue;
      framework.describe(name, () =>
        part({ setup, supports, test: (title, run) => define(setup, framework, title, run) }),
      );
    }
  });
}

function define(
  setup: StorageSetup,
  framework: TestFramework,
  title: string,
  run: (harness: Harness, also: (storage: Storage) => Storage) => void | Promise<void>,
): void {
  framework.test(title, async () => {
    const storages = [setup.open()];
    const also = (storage: Storage): Storage => {
      storages.push(storage);
      return storage;
    };
    try {
      await run(new Harness(storages[0]!), also);
    } finally {
      for (const storage of storages) storage.close();
      setup.clean?.();
    }
  });
}
