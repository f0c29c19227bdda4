export type * from './interfaces';
export { requireCapability, supportsManifest, type Capabilities } from './capabilities';
export { runSteps, runStepsAsync, type Progress, type RunOptions, type Steps } from './steps';
export { TransactionMetaData, type TransactionMetaDataInit } from './transaction-meta';
