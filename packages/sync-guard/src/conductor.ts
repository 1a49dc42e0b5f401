import type { World } from '@nightlatch/auth-core/world'
import { Gate } from './gate.ts'
import type { HaltReport } from './guard-api.ts'
import { halt } from './halt.ts'
import { Lease } from './lease.ts'
import type { SyncPolicy } from './policy.ts'
import { Pulse } from './pulse.ts'
import type { Replication } from './replication.ts'
import type { RunContext } from './replication-run.ts'
import type { TellEvent } from './sync-events.ts'
import type { SyncSession } from './sync-session.ts'
import type { HaltedBy } from './sync-state.ts'
import { TokenSource } from './token-source.ts'

export interface Registration {
  readonly replication: Replication
  /** Whose documents these are. `undefined` until the first session is known. */
  userId: string | undefined
  /** That user has left; only its halting is still to come. */
  left: boolean
}

export interface ConductorOptions {
  readonly id: string
  readonly world: World
  readonly policy: Required<SyncPolicy>
  readonly tell: TellEvent
  readonly changed: () => void
  /** Once a second. */
  readonly beat: () => void
  readonly onLoginRequired: (session: SyncSession, reason: string) => void
}

interface LeaseRun extends RunContext {
  /** The lease numbers under which this run may send. */
  readonly numbers: Map<Registration, number>
}

/**
 * Keeps what runs in line with what may run. Every reason to run or not to run is a fact set here; whoever changes one calls `reconcile`,
 * which closes the gate at once and does the rest in turn, so that no two starts and halts ever overlap.
 */
export class Conductor {
  readonly registrations = new Set<Registration>()
  session: SyncSession | null | undefined
  /** The app asked for a pause; it lasts over refreshes and new sessions (G7). */
  paused = false
  /** The page is frozen or in the back-forward cache. */
  asleep = false
  /** This user is leaving, here or in another tab, or has left. */
  leaving: Extract<HaltedBy, 'leave' | 'lock'> | undefined
  /** A newer version of the app has taken over this user's database. */
  outdated = false
  disposed = false
  readonly pulse: Pulse
  readonly #options: ConductorOptions
  readonly #lease: Lease
  readonly #over = new WeakMap<SyncSession, string>()
  #run: LeaseRun | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #halting = false
  #yielding = false
  #unknownOutcome = 0

  constructor(options: ConductorOptions) {
    this.#options = options
    this.pulse = new Pulse(options.world, options.beat)
    this.#lease = new Lease(options.world.locks, () => {
      options.tell({ type: 'lease', state: 'held' })
      void this.reconcile()
    })
  }

  get tokens(): TokenSource | undefined {
    return this.#run?.tokens
  }

  get halting(): boolean {
    return this.#halting
  }

  /** Whether this tab is the one that replicates. */
  get leads(): boolean {
    return this.#run !== undefined
  }

  get loginRequired(): string | undefined {
    return this.session ? this.#over.get(this.session) : undefined
  }

  get haltedBy(): HaltedBy | undefined {
    if (this.leaving) return this.leaving
    return this.paused ? 'app' : undefined
  }

  /** The name under which tabs speak of this user's sync. */
  get user(): string | undefined {
    return this.session ? `${this.#options.id}:${this.session.databaseName ?? this.session.userId}` : undefined
  }

  /** Resolves when what runs is what may run. The gate is closed, if it must be, when this returns. */
  async reconcile(): Promise<HaltReport['unknownOutcome']> {
    if (this.#run && this.#run.session !== this.#mayRun()) this.#run.gate.close()
    this.#options.changed()
    await this.inTurn(() => this.#settle())
    return this.#unknownOutcome
  }

  /** Does `work` while nothing starts or halts. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }

  /** A person may try again with the same session, for instance after the server was mended. */
  forgetLoginRequired(): void {
    if (this.session) this.#over.delete(this.session)
  }

  loginIsRequired(session: SyncSession, reason: string): void {
    if (this.#over.has(session)) return
    this.#over.set(session, reason)
    this.#options.tell({ type: 'login-required', userId: session.userId, reason })
    this.#options.onLoginRequired(session, reason)
    void this.reconcile()
  }

  /** Starts one more replication in the current run, if there is one that it belongs to. */
  join(registration: Registration): Promise<void> {
    return this.inTurn(async () => {
      if (this.#run && this.#belongs(registration, this.#run.session)) await this.#startOne(registration, this.#run)
    })
  }

  /** Halts one replication for good, without touching the others. */
  async quit(registration: Registration): Promise<void> {
    this.registrations.delete(registration)
    const { replication } = registration
    replication.running?.gate.close()
    await this.inTurn(async () => {
      const { running } = replication
      if (running) await halt([running], running.gate, this.#options.world, this.#options.policy)
      replication.finish()
      await replication.close()
    })
    this.#options.changed()
  }

  /** The tab that leads has given no sign of life: fence it off and lead. */
  async takeOver(): Promise<void> {
    const { user } = this
    if (user === undefined || this.leads || !this.#mayRun()) return
    await this.fenceOff()
    this.#lease.take(user)
    await this.reconcile()
  }

  async fenceOff(): Promise<void> {
    await Promise.all([...this.registrations].filter(({ left }) => !left).map(({ replication }) => replication.fenceOff()))
  }

  /** To be asked when nothing is to be sent too, so that a tab that has lost the lease notices. */
  async checkLead(): Promise<void> {
    await this.#run?.stillLeads()
  }

  /** Lets another tab lead and stands in line behind it. */
  async handOver(): Promise<void> {
    if (!this.#run) return
    this.#yielding = true
    await this.reconcile()
    this.#yielding = false
    await this.reconcile()
  }

  /** After this tab stood still another one may lead now; only storage knows. */
  async #stillLeads(numbers: ReadonlyMap<Registration, number>): Promise<boolean> {
    if (!this.pulse.stoodStill) return true
    const checks = [...numbers].map(async ([{ replication }, number]) => (await replication.leaseNumber()) === number)
    const same = await Promise.all(checks).catch(() => [false])
    if (same.every(Boolean)) {
      this.pulse.confirm()
      return true
    }
    this.#run?.gate.close()
    this.#options.tell({ type: 'lease', state: 'lost' })
    void this.handOver()
    return false
  }

  #mayRun(): SyncSession | undefined {
    const { session } = this
    const halted = this.disposed || this.outdated || this.paused || this.asleep || this.#yielding || this.leaving
    return session && !halted && !this.#over.has(session) ? session : undefined
  }

  async #settle(): Promise<void> {
    const session = this.#mayRun()
    // A closed gate never opens again, also if the reason for closing it is gone by now.
    if (this.#run && (this.#run.session !== session || !this.#run.gate.open)) await this.#halt(this.#run)
    const { user } = this
    if (!session || user === undefined) return this.#lease.release()
    this.#lease.want(user)
    if (!this.#run && this.#lease.isHeld(user)) await this.#start(session)
  }

  async #start(session: SyncSession): Promise<void> {
    const { world, policy, tell, changed } = this.#options
    const gate = new Gate()
    const numbers = new Map<Registration, number>()
    this.pulse.confirm()
    const tokens = new TokenSource({
      session,
      gate,
      world,
      policy,
      changed,
      onLoginRequired: (reason) => {
        gate.close()
        this.loginIsRequired(session, reason)
      },
      onDelay: (retryAtMs) => tell({ type: 'token-delayed', retryAtMs }),
    })
    this.#run = { session, gate, tokens, numbers, stillLeads: () => this.#stillLeads(numbers), stoodStill: () => this.pulse.stoodStill }
    const mine = [...this.registrations].filter((registration) => this.#belongs(registration, session))
    tell({ type: 'started', userId: session.userId, replications: mine.length })
    const run = this.#run
    await Promise.all(mine.map((registration) => this.#startOne(registration, run)))
    void tokens.current().catch(() => {}) // a session that is over is noticed also when there is nothing to send
  }

  async #startOne(registration: Registration, run: LeaseRun): Promise<void> {
    const { replication } = registration
    try {
      if (!(await replication.belongsTo(run.session.userId))) {
        this.#options.tell({ type: 'database', state: 'belongs-to-another-user' })
        return
      }
      run.numbers.set(registration, await replication.leaseNumber())
      await replication.start(run)
    } catch (error) {
      const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown'
      this.#options.tell({ type: 'rxdb-error', collection: replication.name, code })
    }
  }

  async #halt(run: RunContext): Promise<void> {
    const { world, policy, tell, changed } = this.#options
    const haltedAtMs = world.clock.monotonicMs()
    this.#halting = true
    changed()
    const replications = [...this.registrations].map(({ replication }) => replication)
    await halt(
      replications.flatMap(({ running }) => (running ? [running] : [])),
      run.gate,
      world,
      policy,
    )
    this.#unknownOutcome = replications.reduce((sum, replication) => sum + replication.finish(), 0)
    this.#run = undefined
    this.#halting = false
    const tookMs = world.clock.monotonicMs() - haltedAtMs
    tell({ type: 'halted', userId: run.session.userId, by: this.haltedBy ?? 'session', tookMs, unknownOutcome: this.#unknownOutcome })
    changed()
  }

  #belongs({ userId, left }: Registration, session: SyncSession): boolean {
    return userId === session.userId && !left
  }
}
