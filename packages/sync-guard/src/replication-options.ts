import type {
  ReplicationPullHandlerResult,
  RxCollection,
  RxReplicationPullStreamItem,
  RxReplicationWriteToMasterRow,
  WithDeleted,
} from 'rxdb/plugins/core'
import type { ObservableInput } from 'rxjs'
import type { SendContext } from './lane.ts'
import type { SortFailure } from './sync-failure.ts'

export interface PushContext extends SendContext {
  /** The same for every repetition of this push, also after a restart, until the server has answered it. */
  readonly idempotencyKey: string
}

/** The checkpoint is a plain object: RxDB merges them by their fields, so that a bare number or string would be lost. */
export type GuardedPullHandler<Doc, Checkpoint> = (
  checkpoint: Checkpoint | undefined,
  batchSize: number,
  context: SendContext,
) => Promise<ReplicationPullHandlerResult<Doc, Checkpoint>>

export type PushRow<Doc> = RxReplicationWriteToMasterRow<Doc>

/** Either RxDB's answer, the master states of conflicting rows, or that and the rows that the server will not have. */
export type PushAnswer<Doc> = WithDeleted<Doc>[] | { readonly conflicts: WithDeleted<Doc>[]; readonly rejected: readonly RejectedRow[] }
export interface RejectedRow {
  readonly id: string
  readonly code: string
}

export type GuardedPushHandler<Doc> = (rows: PushRow<Doc>[], context: PushContext) => Promise<PushAnswer<Doc>>

export type StreamItem<Doc, Checkpoint> = RxReplicationPullStreamItem<Doc, Checkpoint>
/** Connects to the server's change stream. Called again after each end or failure, with a fresh token; its errors never reach RxDB. */
export type GuardedStream<Doc, Checkpoint> = (context: SendContext) => ObservableInput<StreamItem<Doc, Checkpoint>>

export interface GuardedPull<Doc, Checkpoint> {
  readonly handler: GuardedPullHandler<Doc, Checkpoint>
  readonly stream?: GuardedStream<Doc, Checkpoint>
  readonly batchSize?: number
  readonly modifier?: (document: unknown) => WithDeleted<Doc> | Promise<WithDeleted<Doc>>
  readonly initialCheckpoint?: Checkpoint
}

export interface GuardedPush<Doc> {
  readonly handler: GuardedPushHandler<Doc>
  /** Documents it says no to are set aside as rejected (`read_only_scope`) without asking the server: those of scopes that are only read. */
  readonly writable?: (document: WithDeleted<Doc>) => boolean
  readonly batchSize?: number
  readonly modifier?: (document: WithDeleted<Doc>) => unknown
  readonly initialCheckpoint?: unknown
}

/** For a collection that is divided into scopes, which the server may close to a user one by one (`scope-revoked` of a `SortFailure`). */
export interface ReplicationScopes<Doc, Checkpoint> {
  /** Those that are pulled, and those that are pushed to. Handlers find in their context which of them to name. */
  readonly read: readonly string[]
  readonly write: readonly string[]
  /** The scope of a document. Without it everything is pulled again after one of several was closed, to find out what is left. */
  readonly of?: (document: WithDeleted<Doc>) => string
  /** The checkpoint as if these scopes had never been pulled. */
  readonly without: (checkpoint: Checkpoint, scopes: readonly string[]) => Checkpoint
}

export interface ReplicateOptions<Doc, Checkpoint> {
  readonly collection: RxCollection<Doc, unknown, unknown, unknown>
  /** Kept verbatim. Do not put a URL in it: the server may move. */
  readonly replicationIdentifier: string
  readonly deletedField?: string
  readonly pull?: GuardedPull<Doc, Checkpoint>
  readonly push?: GuardedPush<Doc>
  readonly scopes?: ReplicationScopes<Doc, Checkpoint>
  /** Knows the errors of the library that the handlers use. Plain HTTP shapes are known without. */
  readonly sortFailure?: SortFailure
  /** Replications with the same one back off together. Default: all of the guard. */
  readonly origin?: string
}
