import type { Observable } from 'rxjs'
import type { App, AppEvent, AppOptions, RemoveOptions } from './app.ts'
import { type AppContext, notSupported, waitFor } from './app-context.ts'
import { AppView } from './app-view.ts'
import type { AuthState, LockedUser, UnavailableReason, UnlockMethod } from './auth-state.ts'
import type { Credentials } from './credentials.ts'
import { type EmailPasswordAuth, emailPasswordAuth } from './email-password-auth.ts'
import { AuthError } from './errors.ts'
import { readProfile, requestGrant, storeLogIn } from './log-in.ts'
import {
  askParticipants,
  awaitRevocation,
  commitLeave,
  type LeaveParticipant,
  type LogOutOptions,
  type LogOutResult,
  leaveOf,
  revokeOtherSessions,
  wipeDatabases,
} from './log-out.ts'
import { memorySessionStore } from './memory-session-store.ts'
import {
  type Grant,
  type Leave,
  type LeaveReason,
  type LeaveReport,
  type SessionStore,
  StoreUnavailable,
  type SyncSession,
  type UserData,
} from './ports.ts'
import { randomId } from './random-id.ts'
import { holdWhileAlive } from './refresh-lock.ts'
import { restoreUsers, sweepAfterCrash } from './restore-users.ts'
import { RevocationOutbox } from './revocation-outbox.ts'
import { ServerClock } from './server-clock.ts'
import { canReturn, isLeaving } from './stored-auth-state.ts'
import { switchTo } from './switch-user.ts'
import { TokenKeeper } from './token-keeper.ts'
import type { User, UserActions } from './user.ts'
import { type CallOptions, UserCalls } from './user-calls.ts'
import { UserDirectory } from './user-directory.ts'
import type { UserKey, UserRecord } from './user-record.ts'
import { realWorld } from './world/index.ts'

const DEFAULT_REQUEST_TIMEOUT_MS = 15_000
/** A log-in does not wait longer than this for the profile; it arrives when it arrives. */
const PROFILE_PATIENCE_MS = 5_000

/** Joins the parts of an app. Every method is a few calls to those who do the work; what is shown follows from what they stored. */
export class AppShell implements App {
  readonly id: string
  readonly ready: Promise<void>
  readonly emailPasswordAuth: EmailPasswordAuth
  readonly #fallback: AppOptions['fallback']
  readonly #userData: UserData | undefined
  readonly #store: SessionStore
  readonly #context: AppContext
  readonly #tokens: TokenKeeper
  readonly #outbox: RevocationOutbox
  readonly #view: AppView
  readonly #calls: UserCalls
  readonly #participants = new Set<LeaveParticipant>()
  readonly #closed = new AbortController()

  constructor({ id, backend, vault, userData, world = realWorld(), store = memorySessionStore(), ...options }: AppOptions) {
    if (!/^[a-z][a-z0-9-]{0,39}$/.test(id)) {
      throw new AuthError('invalid-argument', '`id` must be 1 to 40 lower-case letters, digits and hyphens, and begin with a letter.')
    }
    const { fallback = 'none', fetchOrigins = [], onLoginRequired, requestTimeoutMs = DEFAULT_REQUEST_TIMEOUT_MS } = options
    const scope = `nightlatch:${id}:${backend.issuer}`
    this.id = id
    this.#fallback = fallback
    this.#userData = userData
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
    if (credentials.provider !== 'anonymous' || !credentials.reuse) return this.#logIn(credentials, signal)
    return holdWhileAlive(this.#context, 'anonymous', async () => {
      const standing = await this.#liveAnonymous()
      return standing ? this.#makeCurrent(standing, signal) : this.#logIn(credentials, signal)
    })
  }

  async logOut({ user, sessions = 'this', ...options }: LogOutOptions = {}): Promise<LogOutResult> {
    await this.#usable(options.signal)
    const leaver = user ?? this.currentUser
    if (!leaver) throw new AuthError('not-logged-in', 'Nobody is logged in.')
    if (sessions !== 'this') {
      const { signal } = options
      await revokeOtherSessions(this.#context, () => this.#tokens.accessToken(leaver.key, signal ? { signal } : {}), signal)
    }
    const record = await this.#context.directory.reread(leaver.key)
    if (sessions === 'others' || !record || record.status.kind === 'logged-out') return { ...NOTHING_LEFT, revocation: 'done' }
    return this.#leave(leaver, 'log-out', options)
  }

  async switchUser(user: User | LockedUser, { signal }: CallOptions = {}): Promise<User | null> {
    await this.#usable(signal)
    const record = await this.#onDevice(user)
    if (record.status.kind === 'logged-out') throw new AuthError('not-logged-in', 'A logged-out user cannot be switched to. Log in again.')
    await this.#makeCurrent(record, signal)
    return this.currentUser
  }

  async removeUser(user: User | LockedUser, options: RemoveOptions = {}): Promise<LogOutResult> {
    await this.#usable(options.signal)
    await this.#onDevice(user)
    return this.#leave(user, 'remove', options)
  }

  async deleteUser(user: User, { proof, ...options }: RemoveOptions & { readonly proof?: Credentials } = {}): Promise<LogOutResult> {
    await this.#usable(options.signal)
    await this.#onDevice(user)
    await this.#askToLeave(user, 'delete', options, { rehearsal: true })
    await this.#calls.deleteAccount(user.key, proof, options)
    // The account is gone: nothing can be uploaded any more, and nobody could open what is kept.
    return this.#commit(user, 'delete', await this.#askToLeave(user, 'delete', { ...options, unsynced: 'discard' }))
  }

  async unlock(kind: UnlockMethod, secret: string, { user, signal }: CallOptions & { readonly user?: LockedUser } = {}): Promise<User> {
    await this.#usable(signal)
    const { vault, directory } = this.#context
    if (!vault) throw notSupported('unlock users')
    const locked = user ?? (this.authState.kind === 'locked' ? this.authState.user : undefined)
    if (!locked) throw new AuthError('invalid-argument', 'Nobody is locked.')
    const key = await vault.unlock({ key: locked.key }, kind, secret, signal)
    const record = await directory.reread(key)
    if (record?.vault.kind !== 'open') throw new AuthError('locked', 'The user is still locked.')
    this.#view.show()
    this.#view.tell('unlocked', key)
    return this.#view.userOf(record)
  }

  async lock(user: User | null = this.currentUser): Promise<void> {
    await this.#usable()
    const { vault, directory } = this.#context
    if (!vault) throw notSupported('lock users')
    if (!user) throw new AuthError('not-logged-in', 'Nobody is logged in.')
    await this.#askToLeave(user, 'lock', {})
    this.#view.lock = { why: 'explicit', methods: await vault.methods(user.key) }
    await vault.lock(user.key, 'explicit')
    await directory.reread(user.key)
    this.#view.show()
    this.#view.tell('locked', user.key, 'explicit')
  }

  beforeLeave(participant: LeaveParticipant): () => void {
    this.#participants.add(participant)
    return () => this.#participants.delete(participant)
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return
    this.#closed.abort()
    await this.ready
    this.#tokens.stop()
    this.#outbox.stop()
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
    const { world, backend, directory, tabLock } = this.#context
    const closed = this.#closed.signal
    try {
      await this.#store.open({ appId: this.id, issuer: backend.issuer, world })
      await restoreUsers(this.#context)
    } catch (error) {
      this.#view.showUnavailable(unavailableReason(error))
      return
    }
    if (closed.aborted) return
    const watching = [directory.changed$.subscribe(() => this.#view.show()), this.#watchTokens(), this.#watchStore()]
    closed.addEventListener('abort', () => {
      for (const subscription of watching) subscription.unsubscribe()
    })
    this.#view.open()
    void world.locks.hold(tabLock, () => new Promise<void>((resolve) => closed.addEventListener('abort', () => resolve())))
    void this.#finishEarlierRuns().catch(() => {}) // storage trouble: the next start tries again
  }

  async #finishEarlierRuns(): Promise<void> {
    const { directory } = this.#context
    await sweepAfterCrash(this.#context)
    const current = this.currentUser?.key
    if (current !== undefined && this.#context.world.connectivity.online) await this.#tokens.finishAttempt(current)
    await this.#outbox.deliver()
    const wipes = directory.device?.wipes.map(({ incarnation }) => incarnation) ?? []
    if (this.#userData && wipes.length > 0) await wipeDatabases(this.#context, this.#userData, wipes)
  }

  #watchTokens() {
    return this.#tokens.activity$.subscribe((activity) => {
      this.#view.show()
      if (activity.type === 'refreshed') this.#view.tell('refreshed', activity.key)
      if (activity.type === 'refresh-failed') this.#view.tell('refresh-failed', activity.key, activity.error.code)
    })
  }

  /** What another tab wrote shows here at once. A failed look is not told: the next use of the record looks again and says what is wrong. */
  #watchStore() {
    const { directory } = this.#context
    return this.#store.changes$.subscribe((change) => {
      const look = change.kind === 'user' ? directory.reread(change.key) : directory.rereadDevice()
      look.catch(() => {})
    })
  }

  async #logIn(credentials: Credentials, signal: AbortSignal | undefined): Promise<User> {
    const grant = await requestGrant(this.#context, credentials, signal)
    try {
      const standing = credentials.provider === 'anonymous' && credentials.reuse ? await this.#liveAnonymous() : undefined
      if (standing) {
        await this.#giveBack(grant)
        return await this.#makeCurrent(standing, signal)
      }
      const { currentUser } = this
      if (currentUser && currentUser.id !== grant.userId) await this.#askToLeave(currentUser, 'switch', {})
      return await this.#accept(grant, credentials)
    } catch (error) {
      await this.#giveBack(grant)
      throw error
    }
  }

  async #accept(grant: Grant, credentials: Credentials): Promise<User> {
    const { record, replaced } = await holdWhileAlive(this.#context, 'log-in', () =>
      storeLogIn(this.#context, this.#store, grant, credentials),
    )
    this.#view.show()
    this.#view.tell('logged-in', record.key)
    if (replaced && replaced.revokeHandle !== grant.revokeHandle) await this.#giveBack(replaced)
    if (!grant.identities) await this.#readProfile(record.key, grant.accessToken)
    return this.#view.userOf(record)
  }

  async #readProfile(key: UserKey, accessToken: string): Promise<void> {
    const { promise: patience, resolve } = Promise.withResolvers<void>()
    const stop = this.#context.world.timers.start(PROFILE_PATIENCE_MS, resolve)
    const reading = readProfile(this.#context, key, accessToken).catch((error: unknown) => {
      this.#view.tell('profile-failed', key, error instanceof Error ? error.name : undefined)
    })
    await Promise.race([reading, patience])
    stop()
  }

  async #liveAnonymous(): Promise<UserRecord | undefined> {
    const { directory } = this.#context
    await directory.load()
    const { device, records } = directory
    return [...records.values()].find(
      (record) =>
        record.status.kind === 'signed-in' && record.vault.kind === 'open' && !canReturn(record) && !(device && isLeaving(device, record)),
    )
  }

  async #makeCurrent(record: UserRecord, signal?: AbortSignal): Promise<User> {
    const { currentUser } = this
    if (currentUser && currentUser.key !== record.key) await this.#askToLeave(currentUser, 'switch', signal ? { signal } : {})
    await switchTo(this.#context, record.key, currentUser?.key)
    this.#view.show()
    this.#view.tell('switched', record.key)
    return this.#view.userOf(record)
  }

  async #onDevice(user: User | LockedUser): Promise<UserRecord> {
    const record = await this.#context.directory.reread(user.key)
    if (!record) throw new AuthError('user-not-found', 'This user is not on this device any more. Log in again.')
    return record
  }

  async #leave(user: User | LockedUser, reason: 'log-out' | 'remove', options: RemoveOptions): Promise<LogOutResult> {
    return this.#commit(user, reason, await this.#askToLeave(user, reason, options))
  }

  async #askToLeave(
    user: User | LockedUser,
    reason: LeaveReason,
    options: RemoveOptions,
    kind: Pick<Leave, 'rehearsal'> = {},
  ): Promise<Required<LeaveReport>> {
    const { currentUser } = this
    if (user.key !== currentUser?.key) return NOTHING_LEFT
    const leave = { ...leaveOf(currentUser, reason, this.#context, options), ...kind }
    return waitFor(askParticipants(this.#context, this.#participants, leave), options.signal)
  }

  async #commit(user: User | LockedUser, reason: keyof typeof EVENT_OF_LEAVE, report: Required<LeaveReport>): Promise<LogOutResult> {
    const incarnation = reason === 'log-out' ? undefined : this.#context.directory.records.get(user.key)?.incarnation
    await commitLeave(this.#context, user.key, reason === 'log-out' ? 'logged-out' : 'removed')
    this.#view.show()
    this.#view.tell(EVENT_OF_LEAVE[reason], user.key)
    await this.#fallBack()
    const erased = incarnation === undefined ? {} : { erased: await wipeDatabases(this.#context, this.#userData, [incarnation]) }
    return { ...report, revocation: await awaitRevocation(this.#context, () => this.#outbox.deliver()), ...erased }
  }

  async #fallBack(): Promise<void> {
    if (this.#fallback !== 'most-recent' || this.authState.kind !== 'signed-out') return
    const { device, records } = this.#context.directory
    const staying = [...records.values()].filter((record) => record.status.kind === 'signed-in' && !(device && isLeaving(device, record)))
    const recent = staying.sort((a, b) => b.epoch - a.epoch)[0]
    if (recent) await this.#makeCurrent(recent)
  }

  /** Ends a session that nobody will use. Best effort: storage trouble here must not hide the error that led here. */
  async #giveBack({ revokeHandle }: { readonly revokeHandle?: string }): Promise<void> {
    if (revokeHandle === undefined) return
    const { directory, world } = this.#context
    const entry = { id: randomId(world.random), revokeHandle, queuedAtMs: world.clock.nowMs() }
    await directory.updateDevice((device) => ({ ...device, outbox: [...device.outbox, entry] })).catch(() => {})
    void this.#outbox.deliver()
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

const NOTHING_LEFT: Required<LeaveReport> = { uploaded: 0, kept: 0, discarded: 0, unknownOutcome: 0, silentTabs: 0 }

const EVENT_OF_LEAVE = { 'log-out': 'logged-out', remove: 'removed', delete: 'deleted' } as const
