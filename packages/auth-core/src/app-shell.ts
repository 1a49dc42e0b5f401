import type { Observable, Subscription } from 'rxjs'
import type { App, AppEvent, AppOptions, RemoveOptions } from './app.ts'
import { type AppContext, waitFor } from './app-context.ts'
import { AppView } from './app-view.ts'
import type { AuthState, LockedUser, UnavailableReason, UnlockMethod } from './auth-state.ts'
import type { Credentials } from './credentials.ts'
import { type EmailPasswordAuth, emailPasswordAuth } from './email-password-auth.ts'
import { AuthError } from './errors.ts'
import { Leaves, NOTHING_LEFT } from './leaves.ts'
import { LogIns } from './log-ins.ts'
import { type LeaveParticipant, type LogOutOptions, type LogOutResult, revokeOtherSessions } from './log-out.ts'
import { memorySessionStore } from './memory-session-store.ts'
import { type SessionStore, StoreUnavailable, type SyncSession, type UnlockProof } from './ports.ts'
import { randomId } from './random-id.ts'
import { restoreUsers, sweepAfterCrash } from './restore-users.ts'
import { RevocationOutbox } from './revocation-outbox.ts'
import { ServerClock } from './server-clock.ts'
import { TokenKeeper } from './token-keeper.ts'
import { Unlocking } from './unlocking.ts'
import type { User, UserActions } from './user.ts'
import { type CallOptions, UserCalls } from './user-calls.ts'
import { UserDirectory } from './user-directory.ts'
import type { UserRecord } from './user-record.ts'
import { realWorld } from './world/index.ts'

const DEFAULT_REQUEST_TIMEOUT_MS = 15_000
const DEFAULT_OFFLINE_AFTER_MS = 4_000

/** Joins the parts of an app. Every method is a few calls to those who do the work; what is shown follows from what they stored. */
export class AppShell implements App {
  readonly id: string
  readonly ready: Promise<void>
  readonly emailPasswordAuth: EmailPasswordAuth
  readonly #fallback: AppOptions['fallback']
  readonly #store: SessionStore
  readonly #context: AppContext
  readonly #tokens: TokenKeeper
  readonly #outbox: RevocationOutbox
  readonly #view: AppView
  readonly #calls: UserCalls
  readonly #leaves: Leaves
  readonly #logIns: LogIns
  readonly #unlocking: Unlocking
  readonly #closed = new AbortController()

  constructor({ id, backend, vault, userData, world = realWorld(), store = memorySessionStore(), ...options }: AppOptions) {
    if (!/^[a-z][a-z0-9-]{0,39}$/.test(id)) {
      throw new AuthError('invalid-argument', '`id` must be 1 to 40 lower-case letters, digits and hyphens, and begin with a letter.')
    }
    const { fallback = 'none', fetchOrigins = [], onLoginRequired, onSessionOver } = options
    const { requestTimeoutMs = DEFAULT_REQUEST_TIMEOUT_MS, offlineAfterMs = DEFAULT_OFFLINE_AFTER_MS } = options
    const scope = `nightlatch:${id}:${backend.issuer}`
    this.id = id
    this.#fallback = fallback
    this.#store = store
    this.#context = {
      appId: id,
      backend,
      vault,
      world,
      requestTimeoutMs,
      directory: new UserDirectory(store, world),
      serverClock: new ServerClock(world.clock),
      channel: world.channels.open(scope),
      lockName: (what) => `${scope}:${what}`,
      tabLock: `${scope}:tab:${randomId(world.random)}`,
    }
    this.#tokens = new TokenKeeper(this.#context)
    this.#outbox = new RevocationOutbox(this.#context)
    this.#calls = new UserCalls(this.#context, this.#tokens, fetchOrigins)
    this.#view = new AppView(this.#context, this.#tokens, () => this.#userActions, onLoginRequired)
    this.#leaves = new Leaves(this.#context, this.#view, this.#outbox, userData)
    this.#logIns = new LogIns(this.#context, this.#view, this.#leaves, this.#outbox, offlineAfterMs)
    this.#unlocking = new Unlocking(this.#context, this.#view, this.#leaves, onSessionOver)
    this.emailPasswordAuth = emailPasswordAuth(this.#context)
    this.ready = this.#start()
  }

  get authState(): AuthState<User> {
    return this.#view.state
  }

  get authState$(): Observable<AuthState<User>> {
    return this.#view.state$.asObservable()
  }

  get currentUser(): User | null {
    return this.#view.currentUser
  }

  get allUsers(): Readonly<Record<string, User | LockedUser>> {
    return this.#view.allUsers$.value
  }

  get allUsers$(): Observable<Readonly<Record<string, User | LockedUser>>> {
    return this.#view.allUsers$.asObservable()
  }

  get events$(): Observable<AppEvent> {
    return this.#view.events$.asObservable()
  }

  get syncSession$(): Observable<SyncSession | null | undefined> {
    return this.#view.syncSession$.asObservable()
  }

  async logIn(credentials: Credentials, { signal }: CallOptions = {}): Promise<User> {
    await this.#usable(signal)
    return this.#logIns.logIn(credentials, signal)
  }

  async logOut({ user, sessions = 'this', ...options }: LogOutOptions = {}): Promise<LogOutResult> {
    await this.#usable(options.signal)
    const leaver = user ?? this.currentUser ?? (this.authState.kind === 'locked' ? this.authState.user : null)
    if (!leaver) throw new AuthError('not-logged-in', 'Nobody is logged in.')
    if (sessions !== 'this') {
      const { signal } = options
      await revokeOtherSessions(this.#context, () => this.#tokens.accessToken(leaver.key, signal ? { signal } : {}), signal)
    }
    const record = await this.#context.directory.reread(leaver.key)
    if (sessions === 'others' || !record || record.status.kind === 'logged-out') return { ...NOTHING_LEFT, revocation: 'done' }
    return this.#andFallBack(await this.#leaves.leave(leaver, 'log-out', options))
  }

  async switchUser(user: User | LockedUser, { signal }: CallOptions = {}): Promise<User | null> {
    await this.#usable(signal)
    const record = await this.#onDevice(user)
    if (record.status.kind === 'logged-out') throw new AuthError('not-logged-in', 'A logged-out user cannot be switched to. Log in again.')
    await this.#logIns.makeCurrent(record, signal)
    await this.#unlocking.refreshFacts('switch')
    return this.currentUser
  }

  async removeUser(user: User | LockedUser, options: RemoveOptions = {}): Promise<LogOutResult> {
    await this.#usable(options.signal)
    await this.#onDevice(user)
    return this.#andFallBack(await this.#leaves.leave(user, 'remove', options))
  }

  async deleteUser(user: User, { proof, ...options }: RemoveOptions & { readonly proof?: Credentials } = {}): Promise<LogOutResult> {
    await this.#usable(options.signal)
    await this.#onDevice(user)
    await this.#leaves.ask(user, 'delete', options, { rehearsal: true })
    await this.#calls.deleteAccount(user.key, proof, options)
    // The account is gone: nothing can be uploaded any more, and nobody could open what is kept.
    return this.#andFallBack(await this.#leaves.leave(user, 'delete', { ...options, unsynced: 'discard' }))
  }

  async unlock(kind: UnlockMethod, secret: string, { user, signal }: CallOptions & { readonly user?: LockedUser } = {}): Promise<User> {
    await this.#usable(signal)
    const record = await this.#unlocking.unlock(kind, secret, user, signal)
    return this.#logIns.makeCurrent(record, signal)
  }

  async lock(user: User | null = this.currentUser): Promise<void> {
    await this.#usable()
    await this.#unlocking.lock(user, 'explicit')
  }

  async enableUnlock(kind: UnlockMethod, secret: string, { proof }: { readonly proof?: UnlockProof } = {}): Promise<void> {
    await this.#usable()
    await this.#unlocking.enable(this.currentUser, kind, secret, proof)
  }

  async disableUnlock(kind: UnlockMethod): Promise<void> {
    await this.#usable()
    await this.#unlocking.disable(this.currentUser, kind)
  }

  async rescueData(user: User, previousSecret: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#usable(signal)
    await this.#unlocking.rescue(await this.#onDevice(user), previousSecret, signal)
  }

  beforeLeave(participant: LeaveParticipant): () => void {
    this.#leaves.participants.add(participant)
    return () => this.#leaves.participants.delete(participant)
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return
    this.#closed.abort()
    await this.ready
    this.#tokens.stop()
    this.#outbox.stop()
    this.#logIns.stop()
    this.#context.channel.close()
    this.#view.close()
    await this.#store.close()
  }

  toJSON(): { readonly id: string; readonly authState: AuthState['kind'] } {
    return { id: this.id, authState: this.authState.kind }
  }

  get #userActions(): UserActions {
    return {
      snapshot: (key) => this.#view.snapshot(key),
      snapshots$: this.#view.snapshots$,
      logOut: (options) => this.logOut(options),
      calls: this.#calls,
      accessToken: async (key, options) => {
        await this.#usable(options.signal)
        return this.#tokens.accessToken(key, options)
      },
    }
  }

  async #start(): Promise<void> {
    const { world, backend, tabLock } = this.#context
    const closed = this.#closed.signal
    try {
      await this.#store.open({ appId: this.id, issuer: backend.issuer, world })
      await restoreUsers(this.#context)
      await this.#unlocking.refreshFacts('start')
    } catch (error) {
      this.#view.showUnavailable(unavailableReason(error))
      return
    }
    if (closed.aborted) return
    const watching = this.#watch()
    closed.addEventListener('abort', () => {
      for (const subscription of watching) subscription.unsubscribe()
    })
    this.#view.open()
    void world.locks.hold(tabLock, () => new Promise<void>((resolve) => closed.addEventListener('abort', () => resolve())))
    void this.#finishEarlierRuns().catch(() => {}) // storage trouble: the next start tries again
  }

  #watch(): Subscription[] {
    const { directory, vault } = this.#context
    const watching = [
      directory.changed$.subscribe(() => this.#view.show()),
      this.#tokens.activity$.subscribe((activity) => {
        this.#view.show()
        if (activity.type === 'refreshed') this.#view.tell('refreshed', activity.key)
        if (activity.type === 'refresh-failed') this.#view.tell('refresh-failed', activity.key, activity.error.code)
      }),
      // What another tab wrote shows here at once. A failed look is not told: the next use of the record looks again and says what is wrong.
      this.#store.changes$.subscribe((change) => {
        const look = change.kind === 'user' ? directory.reread(change.key) : directory.rereadDevice()
        look.then(() => this.#unlocking.refreshFacts()).catch(() => {})
      }),
      this.#view.sessionOver$.subscribe(({ user, reason }) => {
        this.#unlocking.afterSessionOver(user, reason).catch(() => this.#view.tell('vault-failed', user.key, reason))
      }),
    ]
    const locks = vault?.changes$.subscribe((change) => {
      this.#unlocking.heed(change).catch(() => this.#view.tell('vault-failed', change.key, change.why))
    })
    return locks ? [...watching, locks] : watching
  }

  async #finishEarlierRuns(): Promise<void> {
    await sweepAfterCrash(this.#context)
    const current = this.currentUser?.key
    if (current !== undefined && this.#context.world.connectivity.online) await this.#tokens.finishAttempt(current)
    await this.#outbox.deliver()
    await this.#leaves.finishWipes()
  }

  async #onDevice(user: User | LockedUser): Promise<UserRecord> {
    const record = await this.#context.directory.reread(user.key)
    if (!record) throw new AuthError('user-not-found', 'This user is not on this device any more. Log in again.')
    return record
  }

  async #andFallBack(result: LogOutResult): Promise<LogOutResult> {
    if (this.#fallback === 'most-recent') await this.#logIns.fallBack()
    return result
  }

  async #usable(signal?: AbortSignal): Promise<void> {
    if (this.#closed.signal.aborted) throw new AuthError('app-closed', 'The app has been closed. Create a new one.')
    await waitFor(this.ready, signal)
    if (this.authState.kind !== 'unavailable') return
    const { reason } = this.authState
    throw new AuthError('storage-unavailable', `What is stored on this device cannot be reached (${reason}). Nothing was removed.`, {
      reason,
    })
  }
}

function unavailableReason(error: unknown): UnavailableReason {
  if (error instanceof StoreUnavailable) return error.reason
  if (error instanceof AuthError && error.cause instanceof StoreUnavailable) return error.cause.reason
  return error instanceof AuthError && error.reason === 'no-answer' ? 'storage-blocked' : 'storage-damaged'
}
