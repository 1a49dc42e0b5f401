export { HttpFailure, sortHttpAnswer, sortHttpFailure } from '../sync-failure.ts'
export type { HttpCheckpoint, HttpReplication, HttpReplicationOptions } from './http-replication.ts'
export { httpReplication } from './http-replication.ts'
