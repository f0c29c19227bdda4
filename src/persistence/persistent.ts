/** The optional base class. */
import './protocol';
import type { Oid, Tid } from '../ids';
import { registry } from './default-registry';
import { prepareClass } from './guard';
import type { PersistentStatus } from './interfaces';

/**
 * A base that adds nothing but typed `_p_*` members: `@persistent` alone makes a class persistent, base or not. An object of this very class is what Python calls a bare `Persistent`.
 */
export class Persistent {
  /** The oid; `undefined` before the object is stored or added. */
  declare readonly _p_oid: Oid | undefined;
  /** The connection; `undefined` for an unsaved object. */
  declare readonly _p_jar: object | undefined;
  /** Tid of the revision shown; 0n when there is none or it is not known yet. */
  declare readonly _p_serial: Tid;
  /** `null` for a ghost, else whether the object is changed. Set: `true` marks it changed, `false` unmarks it, `null` drops its state if it is unchanged. */
  declare _p_changed: boolean | null;
  declare readonly _p_status: PersistentStatus;
  /** Time of the revision shown, in seconds since 1970; loads a ghost. */
  declare readonly _p_mtime: number | undefined;
  /** Length of the stored record in bytes. */
  declare readonly _p_estimatedSize: number;
  declare readonly _p_activate: () => void;
  declare readonly _p_deactivate: () => void;
  declare readonly _p_invalidate: () => void;
}

prepareClass(Persistent, {}, undefined);
registry.registerBuiltIn('persistent', 'Persistent', Persistent);
