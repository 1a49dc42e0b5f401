/** Every way a call of the guard can fail, and what an app should do about it. */
export type SyncErrorCode =
  /** Writes that were not uploaded stand in the way; `pending` has their number. Upload them or say `unsynced: "discard"`. Nothing has changed. */
  | 'pending-writes'
  /** The session that this call, collection or replication belonged to has ended. Use what was opened for the current session. */
  | 'session-ended'
  /** Nobody is signed in. Log in first. */
  | 'no-session'
  /** The database is marked as another user's. Open this user's own with `openDatabase`. */
  | 'database-belongs-to-another-user'
  /** Writes cannot be uploaded now: offline, a login is required, or sync is blocked. They are kept; `pending` has their number. */
  | 'upload-unavailable'
  /** The time given to the call has passed. What was done until then stays done. */
  | 'timeout'
  /** The call was aborted by its signal. */
  | 'aborted'
  /** The guard was disposed. Create a new one. */
  | 'disposed'
  /** What was given to the call has the wrong shape; the message says what. */
  | 'invalid-argument'
  /** A newer version of the app has taken over this user's data, in this tab's database or from another tab. Reload the page; nothing is lost. */
  | 'app-outdated'
  /** RxDB's free storages allow 13 open collections at a time. Close a database, or open fewer collections. */
  | 'too-many-collections'
  /** A handler threw something that is no sign of network, server or session: a mistake in the handler. Its message is withheld, it may hold documents. */
  | 'handler-failed'

export interface SyncErrorFacts {
  readonly cause?: unknown
  readonly pending?: number
  readonly extensions?: Readonly<Record<string, unknown>>
}

/** The one error of sync-guard. Carries no token and no document. `code` and `extensions` survive on RxDB's `error$`. */
export class SyncError extends Error {
  override readonly name = 'SyncError'
  readonly code: SyncErrorCode
  readonly pending?: number
  readonly extensions?: Readonly<Record<string, unknown>>

  constructor(code: SyncErrorCode, message: string, { cause, pending, extensions }: SyncErrorFacts = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    if (pending !== undefined) this.pending = pending
    if (extensions !== undefined) this.extensions = extensions
  }
}
