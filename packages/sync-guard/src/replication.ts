import type { World } from '@nightlatch/auth-core/world'
import { defaultHashSha256 } from 'rxdb/plugins/core'
import type { RxReplicationState } from 'rxdb/plugins/replication'
import { discardWrites, touchWrites } from './discard-writes.ts'
import type { Gate } from './gate.ts'
import type { ExportedWrite, RejectedEntry } from './guard-api.ts'
import type { GuardStore } from './guard-store.ts'
import type { Haltable } from './halt.ts'
import type { Origin } from './lane.ts'
import { PendingWrites } from './pending-writes.ts'
import type { SyncPolicy } from './policy.ts'
import { RejectedWrites } from './rejected-writes.ts'
import { type Doc, ReplicationMeta } from './replication-meta.ts'
import type { ReplicationPlan, RunningState } from './replication-plan.ts'
import { prepareRun, type ReplicationRun, type RunContext } from './replication-run.ts'
import { RevokedScopes } from './revoked-scopes.ts'
import type { TellEvent } from './sync-events.ts'
import type { Activity, CollectionSyncState } from './sync-state.ts'

export interface ReplicationDeps {
  readonly world: World
  readonly policy: Required<SyncPolicy>
  readonly store: Promise<GuardStore>
  readonly origin: Origin
  readonly tell: TellEvent
  readonly changed: (how?: { readonly atOnce: boolean }) => void
}

interface Run extends ReplicationRun {
  readonly stop: () => void
}

const LEASE = 'lease'
/** Under this name the guard's store has a hash of the id of the user whose database it is. */
export const OWNER = 'owner'

/** From now on whoever leads with this database under an older number may not send. */
export async function fenceOff(store: GuardStore): Promise<void> {
  await store.write(LEASE, ((await store.read<number>(LEASE)) ?? 0) + 1)
}

/** One guarded replication: what the app asked for, and RxDB's replication state while one runs. Made anew for every run, never paused. */
export class Replication {
  readonly plan: ReplicationPlan
  readonly pending: PendingWrites
  readonly rejected: Promise<RejectedWrites>
  readonly #scopes: Promise<RevokedScopes>
  readonly #deps: ReplicationDeps
  readonly #meta: Promise<ReplicationMeta>
  #run: Run | undefined
  #received = 0
  #syncedAtMs: number | undefined
  #pulledAtMs: number | undefined
  #firstSyncDone = false
  #revokedScopes: readonly string[] = []
  #foreign = false
  #suspects = new Set<string>()
  #repaired = false

  constructor(plan: ReplicationPlan, deps: ReplicationDeps) {
    const { collection, replicationIdentifier, initialPushCheckpoint, pushes } = plan
    this.plan = plan
    this.#deps = deps
    this.#meta = ReplicationMeta.open(collection, replicationIdentifier)
    this.rejected = Promise.all([this.#meta, deps.store]).then(
      ([meta, store]) => new RejectedWrites(store, replicationIdentifier, meta, collection.database.token),
    )
    this.#scopes = this.#loadScopes()
    this.pending = new PendingWrites({
      collection,
      meta: this.#meta,
      setAside: async () => (await this.rejected).list(),
      isWritable: async () => {
        const scopes = await this.#scopes
        return (state) => scopes.refusalOf(state) === undefined
      },
      ...(initialPushCheckpoint !== undefined && { initialCheckpoint: initialPushCheckpoint }),
      counts: pushes,
      world: deps.world,
      changed: deps.changed,
    })
    void this.#remember().catch(() => {})
  }

  get name(): string {
    return this.plan.collection.name
  }

  get running(): (Haltable & { readonly gate: Gate }) | undefined {
    return this.#run
  }

  /** RxDB's own object of the current run, for its observables. Do not pause, cancel or start it. */
  get rxReplication(): RxReplicationState<Doc, unknown> | undefined {
    return this.#run?.state
  }

  get state(): CollectionSyncState {
    const lanes = this.#run?.lanes ?? []
    return {
      activity: this.#activity(),
      pending: this.pending.count,
      rejected: this.pending.rejected,
      parked: lanes.reduce((sum, lane) => sum + lane.parked, 0),
      inFlight: lanes.reduce((sum, lane) => sum + lane.inFlight, 0),
      firstSyncDone: this.#firstSyncDone,
      received: this.#received,
      ...(this.#revokedScopes.length > 0 && { revokedScopes: this.#revokedScopes }),
      ...(this.#pulledAtMs !== undefined && { pulledAtMs: this.#pulledAtMs }),
    }
  }

  /** Whether the database is marked as somebody else's. An unmarked one becomes this user's. */
  async belongsTo(userId: string): Promise<boolean> {
    const store = await this.#deps.store
    const mine = await defaultHashSha256(userId)
    const owner = await store.read<string>(OWNER)
    if (owner === undefined) await store.write(OWNER, mine)
    this.#foreign = owner !== undefined && owner !== mine
    this.#deps.changed()
    return !this.#foreign
  }

  async start(context: RunContext): Promise<void> {
    await this.#repair()
    const { store, changed, ...deps } = this.#deps
    const scopes = await this.#scopes
    await scopes.begin()
    const run = await prepareRun({
      ...deps,
      plan: this.plan,
      context,
      store: await store,
      meta: await this.#meta,
      rejected: await this.rejected,
      scopes,
      changed: () => changed(),
      onCaughtUp: (state) => void this.#caughtUp(state),
    })
    if (run) this.#begin(run)
  }

  /** After halting: forgets RxDB's state. Answers how many pushes nobody knows the outcome of. */
  finish(): number {
    const run = this.#run
    this.#run = undefined
    run?.stop()
    this.#deps.changed()
    return run?.notes.unknown ?? 0
  }

  /** Counts up with every tab that takes the lease from a silent one, and with every end of a session. */
  async leaseNumber(): Promise<number> {
    return (await (await this.#deps.store).read<number>(LEASE)) ?? 0
  }

  /** From now on whoever leads under an older number may not send. */
  async fenceOff(): Promise<void> {
    await fenceOff(await this.#deps.store)
  }

  /**
   * RxDB drops a write of another tab whose notice comes while it reads the storage from a later checkpoint, and never looks at it again. What is
   * pending while nothing is on its way, twice in a row, is such a one.
   */
  async unstick(): Promise<void> {
    const { push, state } = this.#run ?? {}
    const { exact, count } = this.pending.count
    const quiet = push && push.inFlight === 0 && push.parked === 0 && !state?.subjects.active.getValue()
    const ids = quiet && exact && count > 0 ? this.pending.ids : []
    const stuck = ids.filter((id) => this.#suspects.has(id))
    this.#suspects = new Set(ids)
    if (stuck.length === 0) return
    this.#suspects.clear()
    this.#deps.tell({ type: 'stuck-writes-repaired', collection: this.name, documents: stuck.length })
    await touchWrites(this.plan.collection, stuck).catch(() => {}) // the database is closing
  }

  hurry(): void {
    for (const pacer of this.#run?.pacers ?? []) pacer.hurry()
  }

  reSync(): void {
    this.#run?.state.reSync()
  }

  /** Another tab, the one that leads, had pulled everything then. */
  notePulled(atMs: number): void {
    this.#pulledAtMs = Math.max(this.#pulledAtMs ?? 0, atMs)
    this.#firstSyncDone = true
  }

  /** Puts documents back to what the server has: those given, or every one that is pending or refused. */
  async discard(ids: readonly string[] = this.pending.unacknowledgedIds): Promise<void> {
    if (!this.plan.pushes) return
    const rejected = await this.rejected
    const known = await rejected.list()
    const keepsRevoked = this.#deps.policy.revokedScopes === 'keep'
    const neverThere = new Set(
      ids.filter((id) => known.get(id)?.assumed === null || (known.get(id)?.code === 'scope_revoked' && !keepsRevoked)),
    )
    await discardWrites(this.plan.collection, await this.#meta, ids, neverThere)
    await rejected.forget(ids)
    await this.pending.recount()
  }

  /** Sends refused writes once more as they are. */
  async retry(ids: readonly string[]): Promise<void> {
    await (await this.rejected).retry(ids)
    await touchWrites(this.plan.collection, ids)
  }

  async listRejected(): Promise<RejectedEntry[]> {
    if (!this.plan.pushes) return []
    const rejected = await (await this.rejected).list()
    const listed = [...rejected].map(([documentId, { code, atMs, state }]) => ({ documentId, code, atMs, state }))
    const unasked = await (await this.#meta).unacknowledged(this.pending.rejectedIds.filter((id) => !rejected.has(id)))
    const scopes = await this.#scopes
    const { countedAtMs } = this.pending.count
    for (const [documentId, state] of unasked) {
      const code = scopes.refusalOf(state)
      if (code) listed.push({ documentId, code, atMs: countedAtMs, state })
    }
    return listed.map((entry) => ({ collection: this.name, ...entry }))
  }

  /** Every write that the server does not have, as it is here. */
  async exportPending(): Promise<ExportedWrite[]> {
    if (!this.plan.pushes) return []
    await this.pending.recount()
    const codes = new Map((await this.listRejected()).map(({ documentId, code }) => [documentId, code]))
    const writes = await (await this.#meta).unacknowledged(this.pending.unacknowledgedIds)
    return [...writes].map(([documentId, state]) => {
      const code = codes.get(documentId)
      return { collection: this.name, documentId, state, ...(code !== undefined && { rejected: code }) }
    })
  }

  /** Whether the server has the document as it is stored here now. */
  async isUploaded(documentId: string): Promise<boolean> {
    return (await (await this.#meta).unacknowledged([documentId])).size === 0
  }

  async close(): Promise<void> {
    this.pending.close()
    if (this.#repaired) {
      const store = await this.#deps.store
      await store.write(`clean|${this.plan.replicationIdentifier}`, true).catch(() => {})
    }
    await this.#meta.then((meta) => meta.close()).catch(() => {})
  }

  #begin(run: ReplicationRun): void {
    const { state, pacers } = run
    const { changed, tell, world } = this.#deps
    const subscriptions = [
      state.active$.subscribe((active) => {
        if (!active && state.internalReplicationState && this.#firstSyncDone) this.#syncedAtMs = world.clock.nowMs()
        changed()
      }),
      state.received$.subscribe(() => {
        this.#received += 1
      }),
      state.error$.subscribe((error) => {
        if ('rxdb' in error && error.rxdb) tell({ type: 'rxdb-error', collection: this.name, code: error.code })
      }),
    ]
    const stop = () => {
      for (const subscription of subscriptions) subscription.unsubscribe()
      for (const pacer of pacers) pacer.stop()
    }
    this.#run = { ...run, stop }
    this.#received = 0
    const started = state.start()
    started.then(
      () => {
        const changes = state.metaInstance?.changeStream()
        if (changes) subscriptions.push(this.pending.followAcknowledgements(changes))
      },
      () => {}, // told on error$
    )
    changed()
  }

  #activity(): Activity {
    const run = this.#run
    if (this.#foreign) return { kind: 'blocked', cause: 'foreign-database' }
    if (!run) return { kind: 'idle' }
    const cause = run.lanes.map((lane) => lane.blocked).find((blocked) => blocked !== undefined)
    if (cause) return { kind: 'blocked', cause }
    if (run.tokens.refreshing) return { kind: 'refreshing' }
    // With nothing to pull or push, a stream that cannot connect is the only sign that the server is away.
    const retryAtMs = this.#deps.origin.pacer.waiting?.retryAtMs ?? run.tokens.retryAtMs ?? run.streamPacer.waiting?.retryAtMs
    if (retryAtMs !== undefined) return { kind: 'offline', retryAtMs }
    if (run.state.subjects.active.getValue() || this.#syncedAtMs === undefined) {
      return { kind: 'syncing', progress: { received: this.#received } }
    }
    return { kind: 'synced', atMs: this.#syncedAtMs }
  }

  /**
   * Finds writes that RxDB's own `pause()` has left behind the checkpoint, where it never looks again, and makes it look. A full scan, so only when
   * the last run did not end in order, and once for databases that were replicated without the guard before.
   */
  async #repair(): Promise<void> {
    if (this.#repaired || !this.plan.pushes) return
    this.#repaired = true
    const store = await this.#deps.store
    const name = `clean|${this.plan.replicationIdentifier}`
    if ((await store.read<boolean>(name)) !== true) {
      const meta = await this.#meta
      const tail = await meta.scan('tail', this.plan.initialPushCheckpoint)
      const refused = await (await this.rejected).list()
      const stuck = [...(await meta.scan('all')).keys()].filter((id) => !tail.has(id) && !refused.has(id))
      if (stuck.length > 0) {
        await touchWrites(this.plan.collection, stuck)
        this.#deps.tell({ type: 'stuck-writes-repaired', collection: this.name, documents: stuck.length })
      }
    }
    await store.write(name, false)
  }

  async #loadScopes(): Promise<RevokedScopes> {
    const { collection, replicationIdentifier, pushes, writable, scopes } = this.plan
    const { store, policy, tell, changed } = this.#deps
    const revoked = await RevokedScopes.load({
      collection,
      replicationIdentifier,
      scopes,
      pushes,
      writable,
      keepsDocuments: policy.revokedScopes === 'keep',
      store: await store,
      meta: await this.#meta,
      tell,
      changed: () => {
        this.#revokedScopes = revoked.names
        changed()
      },
    })
    this.#revokedScopes = revoked.names
    return revoked
  }

  async #remember(): Promise<void> {
    const store = await this.#deps.store
    this.#firstSyncDone = (await store.read<boolean>(this.#firstSyncName)) === true || !this.plan.pulls
    this.#deps.changed()
  }

  /** Once everything that the server gave is written. */
  async #caughtUp(state: RunningState): Promise<void> {
    await Promise.resolve() // RxDB appends the writing of what was just answered
    await state.internalReplicationState?.streamQueue.down
    this.#pulledAtMs = this.#deps.world.clock.nowMs()
    this.#syncedAtMs = this.#pulledAtMs
    const first = !this.#firstSyncDone
    this.#firstSyncDone = true
    this.#deps.changed()
    if (first) await (await this.#deps.store).write(this.#firstSyncName, true).catch(() => {})
  }

  get #firstSyncName(): string {
    return `first-sync|${this.plan.replicationIdentifier}`
  }
}
