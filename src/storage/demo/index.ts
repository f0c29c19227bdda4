/** Changes layered over a base that stays as it is. */
export { DemoStorage, type DemoStorageOptions } from './demo-storage';
