import { BehaviorSubject, Subject } from 'rxjs'
import type { AppEvent, AppOptions } from './app.ts'
import type { AppContext } from './app-context.ts'
import { type Access, type AuthState, currentUserOf, type LockedUser, nextAuthState } from './auth-state.ts'
import type { OverReason } from './outcome.ts'
import type { SyncSession } from './ports.ts'
import { loginRequired } from './refresh-session.ts'
import { isFit, sessionEndsAtMs } from './session.ts'
import { authEventTo, canReturn, isBeingRemoved, isLeaving, type LockFacts, lockedUser, storedAuthState } from './stored-auth-state.ts'
import type { TokenKeeper } from './token-keeper.ts'
import { User, type UserActions, type UserSnapshot } from './user.ts'
import { databaseName, type UserKey, type UserRecord } from './user-record.ts'

/** What an app shows: the state that follows from what is stored, its users, and what happened. Decides nothing. */
export class AppView {
  readonly state$ = new BehaviorSubject<AuthState<User>>({ kind: 'restoring' })
  readonly events$ = new Subject<AppEvent>()
  readonly allUsers$ = new BehaviorSubject<Readonly<Record<string, User | LockedUser>>>({})
  readonly syncSession$ = new BehaviorSubject<SyncSession | null | undefined>(undefined)
  readonly snapshots$ = new Subject<void>()
  /** The current user's session ended in this run, or was over when it began. */
  readonly sessionOver$ = new Subject<{ readonly user: User; readonly reason: OverReason }>()
  /** Why the current user is locked and what opens it; told by whoever locked it. */
  lock: LockFacts = { why: 'start', methods: [] }
  readonly #context: AppContext
  readonly #tokens: TokenKeeper
  readonly #actions: () => UserActions
  readonly #onLoginRequired: AppOptions['onLoginRequired']
  readonly #users = new Map<UserKey, User>()
  readonly #lastSeen = new Map<UserKey, UserSnapshot>()
  /** Sessions whose end this tab has told, as `key:epoch` (S2). */
  readonly #told = new Set<string>()
  #session: { readonly name: string; readonly value: SyncSession } | undefined
  #showing: 'no' | 'yes' | 'again' = 'no'
  #isOpen = false

  constructor(context: AppContext, tokens: TokenKeeper, actions: () => UserActions, onLoginRequired: AppOptions['onLoginRequired']) {
    this.#context = context
    this.#tokens = tokens
    this.#actions = actions
    this.#onLoginRequired = onLoginRequired
  }

  get state(): AuthState<User> {
    return this.state$.value
  }

  get currentUser(): User | null {
    return currentUserOf(this.state)
  }

  /** From now on what is stored is shown. */
  open(): void {
    this.#isOpen = true
    this.show()
  }

  close(): void {
    this.#isOpen = false
    for (const subject of [this.state$, this.events$, this.allUsers$, this.syncSession$, this.snapshots$, this.sessionOver$])
      subject.complete()
  }

  /** Brings the state in line with what is stored. Subscribers may call anything: a change they cause is shown after this one (S15). */
  show(): void {
    if (!this.#isOpen) return
    if (this.#showing !== 'no') {
      this.#showing = 'again'
      return
    }
    do {
      this.#showing = 'yes'
      this.#showStored()
    } while (this.#isAskedAgain())
    this.#showing = 'no'
  }

  showUnavailable(reason: Extract<AuthState, { kind: 'unavailable' }>['reason']): void {
    const previous = this.state
    this.state$.next(nextAuthState(previous, { type: 'storage-lost', reason }))
    this.tell('storage-lost', null, reason, previous)
  }

  userOf(record: UserRecord): User {
    const known = this.#users.get(record.key)
    if (known) return known
    const user = new User(record.key, this.#actions())
    this.#users.set(record.key, user)
    return user
  }

  /** What a user object shows. After its removal: what was seen last. */
  snapshot(key: UserKey): UserSnapshot {
    const { device, records } = this.#context.directory
    const record = records.get(key)
    if (record?.vault.kind !== 'open') {
      const state = !record ? 'removed' : record.status.kind === 'logged-out' ? 'logged-out' : 'locked'
      return { ...(this.#lastSeen.get(key) ?? NOBODY), state }
    }
    const { userId: id, deviceId, identities, profile, customData, session } = record.vault.contents
    const isOut = record.status.kind === 'logged-out' || (device !== undefined && isLeaving(device, record))
    const state = isOut ? 'logged-out' : record.status.kind === 'over' ? 'login-required' : 'logged-in'
    const endsAtMs = session && sessionEndsAtMs(session)
    const { sealedData } = record
    const now: UserSnapshot = { state, id, deviceId, identities, profile, customData, sessionEndsAtMs: endsAtMs, sealedData }
    this.#lastSeen.set(key, now)
    return now
  }

  tell(type: AppEvent['type'], userKey: UserKey | null, reason?: string, previous = this.state): void {
    const event = { type, userKey, previous, next: this.state, atMs: this.#context.world.clock.nowMs() }
    this.events$.next(reason === undefined ? event : { ...event, reason })
  }

  #isAskedAgain(): boolean {
    return this.#showing === 'again'
  }

  #showStored(): void {
    const { device, records } = this.#context.directory
    if (!device) return
    for (const key of this.#users.keys()) if (!records.has(key)) this.#users.delete(key)
    const before = this.state
    const stored = storedAuthState(device, records, {
      userOf: (record) => this.userOf(record),
      access: this.#accessOf(device.currentUser),
      lock: this.lock,
    })
    const event = authEventTo(before, stored)
    this.allUsers$.next(this.#listUsers())
    this.snapshots$.next()
    if (event) this.state$.next(nextAuthState(before, event))
    this.#tokens.keepAhead(this.state.kind === 'signed-in' ? this.state.user.key : undefined)
    this.#showSession(event !== null)
    if (before.kind === 'restoring') this.tell('restored', device.currentUser, undefined, before)
    this.#tellEnds(before)
  }

  #accessOf(key: UserKey | null): Access {
    const record = key === null ? undefined : this.#context.directory.records.get(key)
    const session = record?.vault.kind === 'open' ? record.vault.contents.session : undefined
    if (!record || !session) return 'offline'
    if (isFit(session, this.#context.serverClock.nowMs())) return 'fresh'
    return this.#tokens.isRefreshing(record.key) ? 'refreshing' : 'offline'
  }

  #listUsers(): Readonly<Record<string, User | LockedUser>> {
    const { device, records } = this.#context.directory
    const staying = [...records.values()].filter((record) => !(device && isBeingRemoved(device, record)))
    return Object.fromEntries(
      staying.map((record): [string, User | LockedUser] =>
        record.vault.kind === 'open' ? [record.vault.contents.userId, this.userOf(record)] : [record.key, lockedUser(record)],
      ),
    )
  }

  /** One object per session: a new log-in makes a new one, a refresh does not, an end shows the same one again. */
  #showSession(changed: boolean): void {
    const user = this.currentUser
    const record = user && this.#context.directory.records.get(user.key)
    if (!user || record?.vault.kind !== 'open') {
      this.#session = undefined
      if (this.syncSession$.value !== null) this.syncSession$.next(null)
      return
    }
    const name = `${record.key}:${record.epoch}`
    if (this.#session?.name !== name) this.#session = { name, value: this.#sessionOf(user, record) }
    else if (!changed || this.state.kind !== 'login-required') return
    this.syncSession$.next(this.#session.value)
  }

  #sessionOf(user: User, { key, epoch, incarnation, ...record }: UserRecord): SyncSession {
    return {
      userId: user.id,
      databaseName: databaseName(this.#context.appId, incarnation),
      canKeep: canReturn({ key, epoch, incarnation, ...record }),
      getToken: async (options = {}) => {
        const token = await this.#actions().accessToken(key, options)
        // The user logged in anew: what was captured in this session is not sent with the next one's token (G2).
        if (this.#context.directory.records.get(key)?.epoch !== epoch) throw loginRequired('unknown')
        return token
      },
    }
  }

  #tellEnds(before: AuthState<User>): void {
    const { device, records } = this.#context.directory
    for (const record of records.values()) {
      const name = `${record.key}:${record.epoch}`
      if (record.status.kind !== 'over' || this.#told.has(name)) continue
      this.#told.add(name)
      const { reason } = record.status
      this.tell('session-over', record.key, reason, before)
      if (device?.currentUser !== record.key) continue
      try {
        this.#onLoginRequired?.({ reason, locked: this.state.kind === 'locked' })
      } catch (error) {
        reportUncaught(error)
      }
      if (this.currentUser) this.sessionOver$.next({ user: this.currentUser, reason })
    }
  }
}

const NOBODY: UserSnapshot = {
  state: 'removed',
  id: '',
  deviceId: undefined,
  identities: [],
  profile: {},
  customData: {},
  sessionEndsAtMs: undefined,
  sealedData: undefined,
}

/** A callback that throws is its author's affair: reported where uncaught errors are, felt nowhere else (S15). */
function reportUncaught(error: unknown): void {
  setTimeout(() => {
    throw error
  })
}
