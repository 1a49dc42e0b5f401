import { type Observable, ReplaySubject } from 'rxjs'
import type { BlockedCause, HaltedBy } from './sync-state.ts'

/** Why the guard did what it did. Holds no token and no document. */
export type SyncEvent = { readonly atMs: number } & (
  | { readonly type: 'started'; readonly userId: string; readonly replications: number }
  | { readonly type: 'halted'; readonly userId: string; readonly by: HaltedBy; readonly tookMs: number; readonly unknownOutcome: number }
  | { readonly type: 'login-required'; readonly userId: string; readonly reason: string }
  | { readonly type: 'token-rejected'; readonly collection: string; readonly again: boolean }
  | { readonly type: 'backing-off'; readonly collection: string; readonly why: string; readonly retryAtMs: number }
  | {
      readonly type: 'blocked'
      readonly collection: string
      readonly cause: BlockedCause
      readonly code?: string
      readonly retryAtMs: number
    }
  | { readonly type: 'token-delayed'; readonly retryAtMs: number }
  | { readonly type: 'write-rejected'; readonly collection: string; readonly documentId: string; readonly code: string }
  | { readonly type: 'repeated-push-recognised'; readonly collection: string; readonly documents: number }
  | { readonly type: 'resync'; readonly collection: string; readonly why: 'resync-required' | 'server-restored' | 'scope-revoked' }
  /** The server has closed a scope to the user; `rejected`: writes to it that were not sent yet. */
  | { readonly type: 'scope-revoked'; readonly collection: string; readonly scope: string; readonly rejected: number }
  | { readonly type: 'stuck-writes-repaired'; readonly collection: string; readonly documents: number }
  | { readonly type: 'lease'; readonly state: 'held' | 'waiting' | 'released' | 'lost' }
  | { readonly type: 'leave-refused'; readonly pending: number }
  | { readonly type: 'ended'; readonly userId: string; readonly kept: number; readonly discarded: number }
  /** `waiting`: tabs with an older version are asked to stop; `taken-over`: they have, or were passed; `outdated`: this tab is such an older one. */
  | { readonly type: 'app-update'; readonly state: 'waiting' | 'taken-over' | 'outdated'; readonly silentTabs?: number }
  /** Writes of an older version of the app, made after its data had been migrated. `superseded`: a later edit of the same document stands. */
  | { readonly type: 'carried-over'; readonly collection: string; readonly documents: number; readonly superseded: number }
  | { readonly type: 'database'; readonly state: 'opened' | 'closed' | 'adopted' | 'belongs-to-another-user' }
  | { readonly type: 'handler-failed'; readonly collection: string; readonly error: string; readonly where: string }
  | { readonly type: 'rxdb-error'; readonly collection: string; readonly code: string }
)

type Untimed<T> = T extends unknown ? Omit<T, 'atMs'> : never
export type TellEvent = (event: Untimed<SyncEvent>) => void

/** A journal of the last decisions, given to whoever subscribes, also late. */
export function eventJournal(
  nowMs: () => number,
  size = 200,
): { readonly events$: Observable<SyncEvent>; readonly tell: TellEvent; readonly close: () => void } {
  const events = new ReplaySubject<SyncEvent>(size)
  return {
    events$: events.asObservable(),
    tell: (event) => events.next({ ...event, atMs: nowMs() }),
    close: () => events.complete(),
  }
}
