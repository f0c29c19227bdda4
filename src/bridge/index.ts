export { SyncBridge, type BridgeOptions } from './sync-bridge';
export type { BridgeScope, BridgeWorker } from './worker-scope';
