/** Changes layered over a base that stays as it is. */
export { DemoStorage } from './demo-storage';
export type { DemoStorageOptions } from './options';
