import { realWorld, type World } from '@nightlatch/auth-core/world'
import { deepEqual, defaultHashSha256, type RxDatabase } from 'rxdb/plugins/core'
import type { Observable } from 'rxjs'
import type { AttachFactory, AttachOptions, AttachParts } from './attach.ts'
import { Conductor, type Registration } from './conductor.ts'
import type { Erased, Eraser } from './eraser.ts'
import { flush } from './flush.ts'
import type {
  EndOptions,
  EndReport,
  ExportedWrite,
  FlushOptions,
  FlushReport,
  GuardedReplication,
  HaltReport,
  PendingReport,
  RejectedChoice,
  RejectedWritesApi,
  SyncGuard,
  SyncGuardOptions,
  UploadedDocument,
  WaitOptions,
} from './guard-api.ts'
import { GuardStore } from './guard-store.ts'
import type { Origin } from './lane.ts'
import { type LeaveParts, leave } from './leave.ts'
import { onePass } from './one-pass.ts'
import { OpenedDatabase } from './opened-database.ts'
import { Pacer } from './pacer.ts'
import { DEFAULT_POLICY, type SyncPolicy, tabDeadlineMs } from './policy.ts'
import { OWNER, Replication } from './replication.ts'
import type { Doc } from './replication-meta.ts'
import type { ReplicateOptions } from './replication-options.ts'
import { attachedPlan, ownPlan, type ReplicationPlan } from './replication-plan.ts'
import { ShownState } from './shown-state.ts'
import { SyncError } from './sync-error.ts'
import { eventJournal, type SyncEvent } from './sync-events.ts'
import { loginRequiredReason, type SyncSession } from './sync-session.ts'
import { type SyncState, syncStateOf, worstActivity } from './sync-state.ts'
import { type SyncNews, type TabMessage, Tabs } from './tabs.ts'
import { appOutdated, databaseNameOf, type OpenDatabaseOptions } from './user-database.ts'
import { waitForFact } from './wait-for-state.ts'
import { refuseWrites } from './write-barrier.ts'

/** Guards the replication of one app on this device. Works in every tab; one of them replicates. */
export function createSyncGuard(options: SyncGuardOptions): SyncGuard {
  return new Guard(options)
}

class Guard implements SyncGuard {
  readonly events$: Observable<SyncEvent>
  readonly state$: Observable<SyncState>
  readonly #id: string
  readonly #world: World
  readonly #eraser: Eraser | undefined
  readonly #policy: Required<SyncPolicy>
  readonly #journal
  readonly #shown: ShownState
  readonly #conductor: Conductor
  readonly #tabs: Tabs
  readonly #origins = new Map<string, Origin>()
  readonly #stores = new WeakMap<RxDatabase, Promise<GuardStore>>()
  readonly #stopListening: (() => void)[] = []
  #database: OpenedDatabase | undefined
  #parted: Promise<void> = Promise.resolve()
  #openWrites: (() => void) | undefined
  #waitsForOlderTabs = false
  #elsewhere: (SyncNews & { readonly heardAtMs: number }) | undefined
  #followingSinceMs = 0
  #beatAtMs: number
  #ending: Promise<EndReport> | undefined
  #told: SyncNews | undefined

  constructor({ id, session$, onLoginRequired, policy, eraser, world = realWorld() }: SyncGuardOptions) {
    this.#eraser = eraser
    this.#id = id
    this.#world = world
    this.#beatAtMs = world.clock.monotonicMs()
    this.#policy = { ...DEFAULT_POLICY, ...policy }
    this.#journal = eventJournal(() => world.clock.nowMs())
    this.events$ = this.#journal.events$
    this.#conductor = new Conductor({
      id,
      world,
      policy: this.#policy,
      tell: this.#journal.tell,
      changed: () => this.#shown.changed({ atOnce: true }),
      beat: () => this.#beat(),
      onLoginRequired: ({ userId }, reason) => queueMicrotask(() => onLoginRequired?.({ reason, userId })),
    })
    this.#shown = new ShownState({ world, stateNow: () => this.#stateNow(), shown: () => this.#tellActivity() })
    this.state$ = this.#shown.state$
    this.#tabs = new Tabs(world, `nightlatch-sync:${id}`, (message) => this.#hear(message))
    this.#tabs.tell({ kind: 'hello', paused: false })
    const sessions = session$.subscribe((session) => this.#onSession(session))
    this.#stopListening.push(() => sessions.unsubscribe(), ...this.#watchWorld())
  }

  get state(): SyncState {
    return this.#shown.state
  }

  #stateNow(): SyncState {
    const { loginRequired, halting, haltedBy, outdated, user, leads } = this.#conductor
    const collections = Object.fromEntries(this.#mine().map(({ replication }) => [replication.name, replication.state]))
    const elsewhere = !leads && this.#elsewhere?.user === user ? this.#elsewhere?.activity : undefined
    const waiting = this.#waitsForOlderTabs ? 'migration-waiting' : undefined
    const blocked = outdated ? 'outdated-client' : waiting
    return syncStateOf({ loginRequired, halting, haltedBy, blocked, elsewhere, collections })
  }

  replicate<D, C>(options: ReplicateOptions<D, C>): GuardedReplication {
    if (this.#conductor.disposed) throw new SyncError('disposed', 'This guard was disposed. Create a new one.')
    if (!options.pull && !options.push) throw new SyncError('invalid-argument', 'replicate() needs pull, push or both.')
    return this.#guarded(ownPlan(options as unknown as ReplicateOptions<Doc, unknown>))
  }

  attach(factory: AttachFactory, options: AttachOptions = {}): GuardedReplication {
    if (this.#conductor.disposed) throw new SyncError('disposed', 'This guard was disposed. Create a new one.')
    return this.#guarded(attachedPlan(factory, options, IDLE_PARTS))
  }

  #guarded(plan: ReplicationPlan): GuardedReplication {
    const registration = this.#register(plan)
    void this.#conductor.join(registration).then(() => this.#shown.changed())
    const { replication } = registration
    return {
      get state() {
        return replication.state
      },
      get rxReplication() {
        return replication.rxReplication as never
      },
      reSync: () => replication.reSync(),
      dispose: () => this.#conductor.quit(registration),
    }
  }

  async openDatabase<Collections>(options: OpenDatabaseOptions): Promise<RxDatabase<Collections>> {
    const session = this.#requireSession()
    if (this.#conductor.outdated) throw appOutdated()
    const name = await databaseNameOf(this.#id, session)
    await this.#parted
    if (this.#requireSession().userId !== session.userId) throw leftMeanwhile()
    this.#database ??= this.#openDatabase(name, options)
    const database = await this.#database.opening
    if (this.#conductor.session?.userId !== session.userId) throw leftMeanwhile()
    return database as unknown as RxDatabase<Collections>
  }

  async adoptDatabase(database: RxDatabase): Promise<void> {
    const { userId } = this.#requireSession()
    const store = await this.#storeOf(database)
    const mine = await defaultHashSha256(userId)
    const owner = await store.read<string>(OWNER)
    if (owner !== undefined && owner !== mine) {
      this.#journal.tell({ type: 'database', state: 'belongs-to-another-user' })
      throw new SyncError('database-belongs-to-another-user', "This database is another user's. Open this user's own with openDatabase().")
    }
    await store.write(OWNER, mine)
    this.#journal.tell({ type: 'database', state: 'adopted' })
  }

  #openDatabase(name: string, options: OpenDatabaseOptions): OpenedDatabase {
    const opened = new OpenedDatabase(name, options, {
      world: this.#world,
      tabs: this.#tabs,
      tabDeadlineMs: tabDeadlineMs(this.#policy),
      eraser: this.#eraser,
      storeOf: (database) => this.#storeOf(database),
      tell: this.#journal.tell,
      waitsForOlderTabs: (waits) => {
        this.#waitsForOlderTabs = waits
        this.#shown.changed({ atOnce: true })
      },
    })
    opened.opening.catch(() => {
      if (this.#database === opened) this.#database = undefined
    })
    return opened
  }

  /** A newer version of the app is about to migrate this database: from here on this tab only reads. */
  async #stepAside({ name, collections }: OpenedDatabase): Promise<void> {
    this.#conductor.outdated = true
    await Promise.all([this.#conductor.reconcile(), refuseWrites([...collections], appOutdated)])
    this.#journal.tell({ type: 'app-update', state: 'outdated' })
    this.#tabs.tell({ kind: 'stepped-aside', databaseName: name })
  }

  async #hearUpdate(databaseName: string, versions: Readonly<Record<string, number>>): Promise<void> {
    const database = this.#database
    if (database?.name !== databaseName || !(await database.isOlderThan(versions))) return
    if (database === this.#database) await this.#stepAside(database)
  }

  /** What was said while this tab stood still may come late or never; what is stored is there. */
  async #noticeUpdate(): Promise<void> {
    const database = this.#database
    const outgrown = !this.#conductor.outdated && (await database?.isOutgrown())
    if (outgrown && database && database === this.#database) await this.#stepAside(database)
  }

  async pendingWrites(): Promise<PendingReport> {
    const counts = await Promise.all(
      this.#mine().map(async ({ replication }) => [replication.name, await replication.pending.recount()] as const),
    )
    const { pending, rejected } = this.state
    return { ...pending, rejected, collections: Object.fromEntries(counts) }
  }

  readonly rejectedWrites: RejectedWritesApi = {
    list: async () => (await Promise.all(this.#mine().map(({ replication }) => replication.listRejected()))).flat(),
    retry: async (choice) => {
      for (const [replication, ids] of await this.#chosen(choice)) await replication.retry(ids)
    },
    discard: async (choice) => {
      const chosen = await this.#chosen(choice)
      for (const [replication, ids] of chosen) await replication.discard(ids)
      return chosen.reduce((sum, [, ids]) => sum + ids.length, 0)
    },
  }

  async exportPending(): Promise<ExportedWrite[]> {
    return (await Promise.all(this.#mine().map(({ replication }) => replication.exportPending()))).flat()
  }

  once(options: WaitOptions = {}): Promise<void> {
    return onePass(
      {
        world: this.#world,
        guard: this,
        state$: this.state$,
        isPaused: () => this.#conductor.paused,
        replications: () => this.#mine().map(({ replication }) => replication),
        pull: () => {
          this.#pullNow()
          if (this.#conductor.user !== undefined) this.#tabs.tell({ kind: 'once', user: this.#conductor.user })
        },
        hurry: () => this.#hurry(),
      },
      options,
    )
  }

  firstSync({ name }: { readonly name: string }, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return waitForFact(this, () => this.state.collections[name]?.firstSyncDone === true, signal)
  }

  async whenUploaded({ primary, collection }: UploadedDocument, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const replication = this.#mine().find((one) => one.replication.name === collection.name)?.replication
    if (!replication) throw new SyncError('invalid-argument', `The collection "${collection.name}" is not replicated for the current user.`)
    await waitForFact(this, () => replication.isUploaded(primary), signal)
  }

  flush(options: FlushOptions = {}): Promise<FlushReport> {
    return flush(
      {
        world: this.#world,
        state$: this.state$,
        count: async () => (await this.pendingWrites()).count,
        hurry: () => this.#hurry(),
      },
      options,
    )
  }

  async suspend(): Promise<HaltReport> {
    this.#conductor.paused = true
    const [unknownOutcome, silentTabs] = await Promise.all([
      this.#conductor.reconcile(),
      this.#tabs.ask({ kind: 'suspend' }, tabDeadlineMs(this.#policy)),
    ])
    return { unknownOutcome, silentTabs }
  }

  async resume(): Promise<void> {
    this.#conductor.paused = false
    this.#conductor.forgetLoginRequired()
    this.#tabs.tell({ kind: 'resume' })
    await this.#conductor.reconcile()
  }

  /** Twice at the same time is once. */
  end(options: EndOptions = {}): Promise<EndReport> {
    this.#ending ??= leave(this.#leaveParts, options).finally(() => {
      this.#ending = undefined
    })
    return this.#ending
  }

  async wipe(databaseName: string): Promise<Erased> {
    await this.#tabs.ask({ kind: 'wipe', databaseName }, tabDeadlineMs(this.#policy))
    return this.#wipeHere(databaseName)
  }

  async finishWipes(databaseNames: readonly string[]): Promise<readonly string[]> {
    const gone: string[] = []
    for (const name of databaseNames) {
      if ((await this.wipe(name).catch(() => undefined)) === 'verified') gone.push(name)
    }
    return gone
  }

  async dispose(): Promise<void> {
    this.#conductor.disposed = true
    this.#shown.close()
    for (const stop of this.#stopListening) stop()
    this.#conductor.pulse.stop()
    await this.#conductor.reconcile()
    await this.#closeUser()
    this.#tabs.close()
    for (const { pacer } of this.#origins.values()) pacer.stop()
    this.#journal.close()
  }

  get #leaveParts(): LeaveParts {
    return {
      conductor: this.#conductor,
      tabs: this.#tabs,
      policy: this.#policy,
      tell: this.#journal.tell,
      flush: (options) => this.flush(options),
      refuseWrites: () => this.#refuseWrites(),
      countLeft: async () => {
        const { count, rejected } = await this.pendingWrites()
        return count + rejected
      },
      discard: async () => {
        for (const { replication } of this.#mine()) await replication.discard()
      },
      closeUser: (options) => this.#closeUser(options),
      stay: () => this.#stay(),
    }
  }

  async #refuseWrites(): Promise<void> {
    const collections = new Set(this.#mine().map(({ replication }) => replication.plan.collection))
    this.#openWrites = await refuseWrites([...collections])
  }

  /** Nobody leaves after all: nothing has changed. */
  async #stay(): Promise<void> {
    this.#openWrites?.()
    this.#openWrites = undefined
    this.#conductor.leaving = undefined
    await this.#conductor.reconcile()
  }

  #onSession(next: SyncSession | null | undefined): void {
    const previous = this.#conductor.session
    const sameUser = previous?.userId === next?.userId
    this.#conductor.session = next
    if (next) {
      if (!sameUser || previous !== next) this.#conductor.leaving = undefined
      for (const registration of this.#conductor.registrations) registration.userId ??= next.userId
    }
    const leaves = previous && !sameUser && next !== undefined
    if (next && previous === next) void this.#askWhy(next)
    void this.#conductor.reconcile()
    if (leaves) void this.#part(previous.userId, false)
  }

  /** The same session shown again has something to say: that it is over. */
  async #askWhy(session: SyncSession): Promise<void> {
    try {
      await session.getToken()
    } catch (error) {
      const reason = loginRequiredReason(error)
      if (reason !== undefined) this.#conductor.loginIsRequired(session, reason)
    }
  }

  async #hear(message: TabMessage): Promise<void> {
    const { user } = this.#conductor
    switch (message.kind) {
      case 'hello':
        this.#tabs.tell({ kind: 'here', paused: this.#conductor.paused })
        this.#tellActivity({ again: true })
        return
      case 'here':
        if (message.paused) return this.#pauseHere(true)
        return
      case 'suspend':
        return this.#pauseHere(true)
      case 'resume':
        return this.#pauseHere(false)
      case 'activity':
        this.#elsewhere = { ...message, heardAtMs: this.#world.clock.monotonicMs() }
        if (message.user === user) this.#notePulls(message.pulledAtMs)
        if (message.loginRequired !== undefined && this.#conductor.session && message.user === user) {
          this.#conductor.loginIsRequired(this.#conductor.session, message.loginRequired)
        }
        return this.#shown.changed({ atOnce: true })
      case 'once':
        if (message.user !== user) return
        this.#hurryHere()
        return this.#pullNow()
      case 'hurry':
        if (message.user === user) this.#hurryHere()
        return
      case 'hand-over':
        if (message.user === user && !this.#world.lifecycle.visible) await this.#conductor.handOver()
        return
      case 'leave':
        if (message.user !== user) return
        this.#conductor.leaving = 'leave'
        await this.#conductor.reconcile()
        return this.#refuseWrites()
      case 'wipe':
        if (this.#database?.name === message.databaseName) await this.#closeUser()
        return
      case 'update':
        return this.#hearUpdate(message.databaseName, message.versions)
      case 'stepped-aside':
        // One that answered too late may have written until now.
        if (this.#database?.name === message.databaseName) await this.#database.carryOver()
        return
      case 'left':
        if (message.user === user) await this.#closeUser()
        return
      case 'stay':
        if (message.user === user) await this.#stay()
        return
      case 'bye':
    }
  }

  async #wipeHere(databaseName: string): Promise<Erased> {
    if (this.#database?.name === databaseName) {
      this.#conductor.leaving ??= 'leave'
      await this.#conductor.reconcile()
      await this.#closeUser({ remove: true })
    }
    await this.#parted
    return this.#eraser ? this.#eraser(databaseName) : 'not-verified'
  }

  async #pauseHere(paused: boolean): Promise<void> {
    this.#conductor.paused = paused
    await this.#conductor.reconcile()
  }

  #register(plan: ReplicationPlan): Registration {
    const replication = new Replication(plan, {
      world: this.#world,
      policy: this.#policy,
      store: this.#storeOf(plan.collection.database),
      origin: this.#originOf(plan.origin),
      tell: this.#journal.tell,
      changed: (how) => this.#shown.changed(how),
    })
    const registration: Registration = { replication, userId: this.#conductor.session?.userId, left: false }
    this.#conductor.registrations.add(registration)
    return registration
  }

  #storeOf(database: RxDatabase): Promise<GuardStore> {
    const known = this.#stores.get(database)
    if (known) return known
    const store = GuardStore.open(database)
    this.#stores.set(database, store)
    database.onClose.push(() => store.then((opened) => opened.close()))
    return store
  }

  #originOf(name: string): Origin {
    const known = this.#origins.get(name)
    if (known) return known
    const origin: Origin = {
      pacer: new Pacer(this.#world, this.#policy, () => this.#shown.changed({ atOnce: true })),
      acceptedToken: undefined,
    }
    this.#origins.set(name, origin)
    return origin
  }

  async #chosen(choice: RejectedChoice | undefined): Promise<(readonly [Replication, string[]])[]> {
    const all = await Promise.all(this.#mine().map(async ({ replication }) => [replication, await replication.listRejected()] as const))
    const wanted = (entry: RejectedChoice) => !choice || (entry.collection === choice.collection && entry.documentId === choice.documentId)
    return all.map(([replication, entries]) => [replication, entries.filter(wanted).map(({ documentId }) => documentId)] as const)
  }

  #mine(): Registration[] {
    const userId = this.#conductor.session?.userId
    return [...this.#conductor.registrations].filter((registration) => registration.userId === userId && !registration.left)
  }

  /**
   * Parts with the user's replications and with the database that the guard has opened: at once for the state and for whoever opens the next
   * one, which waits until this one is closed (G2).
   */
  #closeUser({ remove = false } = {}): Promise<void> {
    const userId = this.#conductor.session?.userId
    return this.#part(userId, remove)
  }

  #part(userId: string | undefined, remove: boolean): Promise<void> {
    const database = this.#database
    const openWrites = this.#openWrites
    this.#database = undefined
    this.#openWrites = undefined
    this.#conductor.outdated = false
    const gone = [...this.#conductor.registrations].filter((registration) => {
      // A collection of the app's own database stays registered for its owner and goes on when that user is back.
      const ours = database?.collections.has(registration.replication.plan.collection) || this.#conductor.disposed
      return registration.userId === userId && ours
    })
    for (const registration of gone) registration.left = true
    const parting = this.#parted.then(async () => {
      await Promise.all(gone.map((registration) => this.#conductor.quit(registration)))
      await database?.close({ remove })
      openWrites?.()
    })
    this.#parted = parting.catch(() => {})
    return parting
  }

  #hurry(): void {
    this.#hurryHere()
    if (this.#conductor.user !== undefined) this.#tabs.tell({ kind: 'hurry', user: this.#conductor.user })
  }

  #hurryHere(): void {
    for (const { pacer } of this.#origins.values()) pacer.hurry()
    for (const { replication } of this.#conductor.registrations) replication.hurry()
    this.#conductor.tokens?.hurry()
  }

  /** Nothing where no replication runs. */
  #pullNow(): void {
    for (const { replication } of this.#mine()) replication.reSync()
  }

  #notePulls(pulledAtMs: SyncNews['pulledAtMs']): void {
    for (const { replication } of this.#mine()) {
      const atMs = pulledAtMs[replication.name]
      if (atMs !== undefined) replication.notePulled(atMs)
    }
  }

  #watchWorld(): (() => void)[] {
    const wake = () => {
      this.#hurryHere()
      this.#pullNow()
    }
    const sleep = (asleep: boolean) => {
      this.#conductor.asleep = asleep
      if (!asleep) void this.#noticeUpdate().catch(() => {})
      void this.#conductor.reconcile()
    }
    return [
      this.#world.connectivity.watch((online) => {
        if (online) wake()
      }),
      this.#world.lifecycle.watch((signal) => {
        if (signal === 'frozen' || signal === 'page-hidden') sleep(true)
        else if (signal === 'resumed' || signal === 'page-shown') sleep(false)
        else if (signal === 'visible') {
          wake()
          this.#askForLead()
        }
      }),
    ]
  }

  /** A hidden tab may be throttled or frozen at any time; the one that is looked at syncs better. */
  #askForLead(): void {
    const { leads, user } = this.#conductor
    if (!leads && user !== undefined) this.#tabs.tell({ kind: 'hand-over', user })
  }

  #beat(): void {
    const nowMs = this.#world.clock.monotonicMs()
    const { leads, user, pulse } = this.#conductor
    if (nowMs - this.#beatAtMs > SILENT_MS / 2) void this.#noticeUpdate().catch(() => {}) // the database is closing
    this.#beatAtMs = nowMs
    if (leads || user === undefined || pulse.stoodStill) this.#followingSinceMs = nowMs
    if (leads && pulse.stoodStill) void this.#conductor.checkLead()
    else if (leads) {
      this.#tellActivity({ again: true })
      for (const { replication } of this.#mine()) void replication.unstick()
    }
    const heardAtMs = this.#elsewhere?.user === user ? (this.#elsewhere?.heardAtMs ?? 0) : 0
    if (!leads && nowMs - Math.max(heardAtMs, this.#followingSinceMs) > SILENT_MS) void this.#conductor.takeOver()
  }

  #requireSession(): SyncSession {
    const { session, disposed, leaving } = this.#conductor
    if (disposed) throw new SyncError('disposed', 'This guard was disposed. Create a new one.')
    if (!session) throw new SyncError('no-session', 'Nobody is signed in.')
    if (leaving) throw new SyncError('session-ended', 'This user is leaving.')
    return session
  }

  #tellActivity({ again = false } = {}): void {
    const { user, leads, loginRequired } = this.#conductor
    if (user === undefined || !(leads || loginRequired !== undefined)) return
    // A tab that nobody knows of yet hears of progress with the next beat.
    if (!again && loginRequired === undefined && this.#tabs.alone) return
    const states = this.#mine().map(({ replication }) => [replication.name, replication.state] as const)
    const told: SyncNews = {
      kind: 'activity',
      user,
      activity: worstActivity(states.map(([, state]) => state)),
      pulledAtMs: Object.fromEntries(states.flatMap(([name, { pulledAtMs }]) => (pulledAtMs === undefined ? [] : [[name, pulledAtMs]]))),
      ...(loginRequired !== undefined && { loginRequired }),
    }
    if (!again && deepEqual(told, this.#told)) return
    this.#told = told
    this.#tabs.tell(told)
  }
}

/** For looking at what a factory makes, while nothing may be sent. */
const IDLE_PARTS: AttachParts = {
  session: { userId: '', getToken: () => Promise.reject(notNow()) },
  signal: new AbortController().signal,
  token: () => new Promise(() => {}),
  fetch: () => Promise.reject(notNow()),
  plainFetch: () => Promise.reject(notNow()),
  patientFetch: () => Promise.reject(notNow()),
}

function notNow(): SyncError {
  return new SyncError('session-ended', 'Nothing is sent before a run has begun.')
}

/** A tab that leads and says nothing for this long is not waited for. */
const SILENT_MS = 5_000

function leftMeanwhile(): SyncError {
  return new SyncError('session-ended', 'The user left while the database was being opened.')
}
