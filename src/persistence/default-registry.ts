import { anchored } from './anchor';
import { Registry } from './registry';

/** The classes that every database of this process knows, unless it is opened with a registry of its own. */
export const registry: Registry = anchored('registry', () => new Registry());
