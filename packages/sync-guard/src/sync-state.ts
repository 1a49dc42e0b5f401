/** How many local writes the server has not acknowledged. `exact`: counted, not estimated, and nothing was written since. */
export interface PendingCount {
  readonly count: number
  readonly exact: boolean
  /** When it was counted, milliseconds since 1970. 0: not yet. */
  readonly countedAtMs: number
}

export interface SyncCounts {
  readonly pending: PendingCount
  /** Writes that the server refused. They are kept on the device and are not among the pending ones. */
  readonly rejected: number
  /** Calls that wait for a token, for the network or for a permission. */
  readonly parked: number
  /** Requests on their way. */
  readonly inFlight: number
  readonly collections: Readonly<Record<string, CollectionSyncState>>
}

export interface CollectionSyncState {
  readonly activity: Activity
  readonly pending: PendingCount
  readonly rejected: number
  readonly parked: number
  readonly inFlight: number
  /** Whether everything was pulled at least once since the database was made. */
  readonly firstSyncDone: boolean
  /** Documents received in this run. */
  readonly received: number
  /** Scopes that the server has closed to the user, if there are any. */
  readonly revokedScopes?: readonly string[]
  /** When everything that the server had was here last, as far as this tab knows. Milliseconds since 1970. */
  readonly pulledAtMs?: number
}

/** What the guard finds a collection doing, or waiting for. */
export type Activity =
  | { readonly kind: 'idle' }
  | { readonly kind: 'syncing'; readonly progress?: SyncProgress }
  | { readonly kind: 'synced'; readonly atMs: number }
  | { readonly kind: 'refreshing' }
  | { readonly kind: 'offline'; readonly retryAtMs?: number }
  | { readonly kind: 'blocked'; readonly cause: BlockedCause }

/** `received`: documents pulled so far. Servers do not say how many there will be. */
export interface SyncProgress {
  readonly received: number
}

export type BlockedCause = 'token-rejected' | 'forbidden' | 'outdated-client' | 'migration-waiting' | 'foreign-database' | 'bug'
export type HaltedBy = 'app' | 'session' | 'lock' | 'leave'

export type SyncState = SyncCounts &
  (
    | Activity
    | { readonly kind: 'login-required'; readonly reason: string }
    | { readonly kind: 'halting' }
    | { readonly kind: 'halted'; readonly by: HaltedBy }
  )

/** Everything the top state is made from. */
export interface SyncFacts {
  readonly loginRequired?: string | undefined
  readonly halting: boolean
  readonly haltedBy?: HaltedBy | undefined
  /** What stands in the way of the whole database. */
  readonly blocked?: BlockedCause | undefined
  /** What the tab that replicates has told, if it is another one. */
  readonly elsewhere?: Activity | undefined
  readonly collections: Readonly<Record<string, CollectionSyncState>>
}

/**
 * The state that follows from the facts. A session that is over outranks everything, because it is the one thing a person must act on;
 * then what the guard was told to do; then the worst of the collections.
 */
export function syncStateOf(facts: SyncFacts): SyncState {
  const collections = Object.values(facts.collections)
  const counts: SyncCounts = {
    pending: totalPending(collections),
    rejected: sum(collections, (c) => c.rejected),
    parked: sum(collections, (c) => c.parked),
    inFlight: sum(collections, (c) => c.inFlight),
    collections: facts.collections,
  }
  if (facts.loginRequired !== undefined) return { ...counts, kind: 'login-required', reason: facts.loginRequired }
  if (facts.halting) return { ...counts, kind: 'halting' }
  if (facts.haltedBy) return { ...counts, kind: 'halted', by: facts.haltedBy }
  if (facts.blocked) return { ...counts, kind: 'blocked', cause: facts.blocked }
  return { ...counts, ...(facts.elsewhere ?? worstActivity(collections)) }
}

export function worstActivity(collections: readonly CollectionSyncState[]): Activity {
  return collections.map((c) => c.activity).reduce(worse, { kind: 'idle' })
}

/** Bad news first. Of two that wait the one that tries again sooner, of two that are done the one that was done earlier. */
function worse(a: Activity, b: Activity): Activity {
  const [rankA, rankB] = [RANK.indexOf(a.kind), RANK.indexOf(b.kind)]
  if (rankA !== rankB) return rankA > rankB ? a : b
  if (a.kind === 'offline' && b.kind === 'offline') return (a.retryAtMs ?? Infinity) <= (b.retryAtMs ?? Infinity) ? a : b
  if (a.kind === 'synced' && b.kind === 'synced') return a.atMs <= b.atMs ? a : b
  if (a.kind === 'syncing' && b.kind === 'syncing') {
    return { kind: 'syncing', progress: { received: (a.progress?.received ?? 0) + (b.progress?.received ?? 0) } }
  }
  return a
}

const RANK: readonly Activity['kind'][] = ['idle', 'synced', 'syncing', 'refreshing', 'offline', 'blocked']

function totalPending(collections: readonly CollectionSyncState[]): PendingCount {
  return {
    count: sum(collections, (c) => c.pending.count),
    exact: collections.every((c) => c.pending.exact),
    countedAtMs: collections.length === 0 ? 0 : Math.min(...collections.map((c) => c.pending.countedAtMs)),
  }
}

function sum<T>(items: readonly T[], amount: (item: T) => number): number {
  return items.reduce((total, item) => total + amount(item), 0)
}
