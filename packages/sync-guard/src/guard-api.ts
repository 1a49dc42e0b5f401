import type { World } from '@nightlatch/auth-core/world'
import type { RxDatabase } from 'rxdb/plugins/core'
import type { RxReplicationState } from 'rxdb/plugins/replication'
import type { Observable } from 'rxjs'
import type { AttachFactory, AttachOptions } from './attach.ts'
import type { Erased, Eraser } from './eraser.ts'
import type { SyncPolicy } from './policy.ts'
import type { ReplicateOptions } from './replication-options.ts'
import type { SyncEvent } from './sync-events.ts'
import type { SyncSession$ } from './sync-session.ts'
import type { CollectionSyncState, HaltedBy, PendingCount, SyncState } from './sync-state.ts'
import type { OpenDatabaseOptions } from './user-database.ts'

export interface SyncGuardOptions {
  /** Names the app on this device: tabs with the same one share the work. */
  readonly id: string
  readonly session$: SyncSession$
  /** Called once for each session that is over, also if it was over before the guard was created. */
  readonly onLoginRequired?: (event: { readonly reason: string; readonly userId: string }) => void
  readonly policy?: SyncPolicy
  /** How the storage's databases are removed for good, such as `dexieEraser()` of `@nightlatch/sync-guard/dexie`. */
  readonly eraser?: Eraser
  readonly world?: World
}

export interface SyncGuard {
  /** Replicates a collection for the current user, whenever its session allows. Stops for good when that user leaves or `dispose` is called. */
  replicate<Doc, Checkpoint = unknown>(options: ReplicateOptions<Doc, Checkpoint>): GuardedReplication
  /** The same for the replication of a plugin, such as RxDB's for CouchDB, GraphQL or Supabase. */
  attach(factory: AttachFactory, options?: AttachOptions): GuardedReplication
  /** Opens the current user's own database, or gives the open one. Closed when the user leaves. */
  openDatabase<Collections>(options: OpenDatabaseOptions): Promise<RxDatabase<Collections>>
  /**
   * Marks an existing database as the current user's, so that its replications keep their checkpoints (give `replicate` the identifiers they had).
   * @throws {SyncError} `database-belongs-to-another-user`
   */
  adoptDatabase(database: RxDatabase): Promise<void>
  /** Counts from storage what the server has not acknowledged. */
  pendingWrites(): Promise<PendingReport>
  readonly rejectedWrites: RejectedWritesApi
  /** Every write that the server does not have, refused ones included: for support, and for accounts that are blocked or gone. */
  exportPending(): Promise<ExportedWrite[]>
  /** One pass of pull and push, from any tab, also while the app has paused sync. Rejects with `upload-unavailable` if it cannot be now. */
  once(options?: WaitOptions): Promise<void>
  /** Resolves when the collection was pulled completely at least once; kept over restarts. */
  firstSync(collection: { readonly name: string }, options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Resolves when the server has the document as it was when this was called, or a later state of it. */
  whenUploaded(document: UploadedDocument, options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Waits until everything pending is uploaded. Gives up at once when that cannot be now. */
  flush(options?: FlushOptions): Promise<FlushReport>
  /** The app pauses sync, in all tabs, until `resume`: over token refreshes and new sessions too (G7). Databases stay open. */
  suspend(): Promise<HaltReport>
  resume(): Promise<void>
  /** The user leaves: halts, counts, keeps or discards, closes the database. Revoke tokens only after it has resolved. */
  end(options?: EndOptions): Promise<EndReport>
  /**
   * Removes a database of a user who has left, in all tabs and for good. `not-verified`: there is no eraser for this storage.
   * After `blockedBy` call it again later, at the next start for instance.
   */
  wipe(databaseName: string): Promise<Erased>
  /** Goes on with wipes that were interrupted. Resolves with the names that are gone for sure. */
  finishWipes(databaseNames: readonly string[]): Promise<readonly string[]>
  /** Stops everything in this tab and leaves the data as it is. */
  dispose(): Promise<void>
  /** Always current, and the same object until something is different. */
  readonly state: SyncState
  /** Begins with the state of the moment. Tells the first change at once, those of the next few milliseconds together. */
  readonly state$: Observable<SyncState>
  readonly events$: Observable<SyncEvent>
}

export interface GuardedReplication {
  readonly state: CollectionSyncState
  /** RxDB's object of the current run, for its observables. Do not pause, cancel or start it. */
  readonly rxReplication: RxReplicationState<never, unknown> | undefined
  reSync(): void
  dispose(): Promise<void>
}

export interface RejectedWritesApi {
  list(): Promise<RejectedEntry[]>
  /** Sends them once more as they are. Without a choice: all. */
  retry(choice?: RejectedChoice): Promise<void>
  /** Puts the documents back to what the server has. Without a choice: all. Resolves with their number. */
  discard(choice?: RejectedChoice): Promise<number>
}

export interface RejectedChoice {
  readonly collection: string
  readonly documentId: string
}

export interface RejectedEntry extends RejectedChoice {
  readonly code: string
  readonly atMs: number
  /** The document as it was refused. */
  readonly state: Readonly<Record<string, unknown>>
}

export interface ExportedWrite extends RejectedChoice {
  readonly state: Readonly<Record<string, unknown>>
  /** The server's code, if it was refused. */
  readonly rejected?: string
}

/** As much of an `RxDocument` as is needed. */
export interface UploadedDocument {
  readonly primary: string
  readonly collection: { readonly name: string }
}

export interface WaitOptions {
  /** Default 10_000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface PendingReport extends PendingCount {
  readonly rejected: number
  readonly collections: Readonly<Record<string, number>>
}

export interface FlushOptions {
  /** Default 10_000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: { readonly uploaded: number; readonly pending: number }) => void
}

export interface FlushReport {
  readonly uploaded: number
  readonly pending: number
  readonly stoppedBy: 'done' | 'timeout' | 'aborted' | 'offline' | 'login-required' | 'blocked' | 'halted'
}

export interface HaltReport {
  /** Documents whose push was sent and not answered in time. They are recognised when they are sent again. */
  readonly unknownOutcome: number
  /** Tabs that were open and did not confirm. They ask for a token before their next send, and get none. */
  readonly silentTabs: number
}

export interface EndOptions {
  /** `keep` (default), `upload` (try until `timeoutMs`, then keep), or `discard`. */
  readonly unsynced?: 'upload' | 'keep' | 'discard'
  /** For uploading. Default 10_000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Reject with `pending-writes` instead of keeping what is not uploaded, and change nothing. Default: where the session says `canKeep: false`. */
  readonly refusePending?: boolean
  /** Find out whether the end would be refused, by an exact count while nothing is written; then everything goes on as before. */
  readonly rehearsal?: boolean
  /** Shown as `halted { by }`. Default `leave`. */
  readonly by?: Extract<HaltedBy, 'leave' | 'lock'>
}

export interface EndReport extends HaltReport {
  readonly uploaded: number
  /** Writes that stay on the device, refused ones included. */
  readonly kept: number
  readonly discarded: number
}
