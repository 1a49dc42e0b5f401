import { distinctUntilChanged, map, type Observable, startWith } from 'rxjs'
import type { Credentials } from './credentials.ts'
import type { LogOutOptions, LogOutResult } from './log-out.ts'
import type { AccessTokenOptions } from './token-keeper.ts'
import type { ApiKeys, CallOptions, Sessions, UserCalls } from './user-calls.ts'
import type { SealedData, UserIdentity, UserKey, UserProfile } from './user-record.ts'

/** `login-required`: the session is over and the data open. `removed` is for ever: a later log-in makes a new object. */
export type UserState = 'logged-in' | 'login-required' | 'locked' | 'logged-out' | 'removed'

/** What a user object may look up and do; given by the app that owns it. */
export interface UserActions {
  snapshot(key: UserKey): UserSnapshot
  readonly snapshots$: Observable<void>
  accessToken(key: UserKey, options: AccessTokenOptions): Promise<string>
  logOut(options: LogOutOptions): Promise<LogOutResult>
  readonly calls: UserCalls
}

export interface UserSnapshot {
  readonly state: UserState
  readonly id: string
  readonly deviceId: string | undefined
  readonly identities: readonly UserIdentity[]
  readonly profile: UserProfile
  readonly customData: Readonly<Record<string, unknown>>
  readonly sessionEndsAtMs: number | undefined
  readonly sealedData: SealedData | undefined
}

/**
 * A user of this device whose data is open. The same object for as long as the user stays on the device; it shows what is stored now.
 * Holds no token of its own, and serialises to nothing but its id and state.
 */
export class User {
  readonly #key: UserKey
  readonly #actions: UserActions
  /** Calls a function of the server as this user: `user.functions.sum(1, 2)`. */
  readonly functions: Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>

  constructor(key: UserKey, actions: UserActions) {
    this.#key = key
    this.#actions = actions
    this.functions = functionsOf((name, args) => this.callFunction(name, ...args))
  }

  /** Names the user's record on this device; random, not known to the server. */
  get key(): UserKey {
    return this.#key
  }

  /** The server's id of the account; the same through linking and on every device. */
  get id(): string {
    return this.#now.id
  }

  get state(): UserState {
    return this.#now.state
  }

  /** The state now and after every change of it. */
  get state$(): Observable<UserState> {
    return this.#actions.snapshots$.pipe(
      startWith(undefined),
      map(() => this.state),
      distinctUntilChanged(),
    )
  }

  get isLoggedIn(): boolean {
    return this.state === 'logged-in'
  }

  get identities(): readonly UserIdentity[] {
    return this.#now.identities
  }

  get profile(): UserProfile {
    return this.#now.profile
  }

  /** Read-only for clients; `refreshCustomData` brings it up to date. */
  get customData(): Readonly<Record<string, unknown>> {
    return this.#now.customData
  }

  /** The server's name for this user on this device. */
  get deviceId(): string | undefined {
    return this.#now.deviceId
  }

  /** There if the user has got a new key and something is sealed with an older one: `app.rescueData` opens it with the secret of then. */
  get sealedData(): SealedData | undefined {
    return this.#now.sealedData
  }

  /** When the session ends unless it is used, by the server's clock; `undefined` if it has no end. */
  get sessionEndsAtMs(): number | undefined {
    return this.#now.sessionEndsAtMs
  }

  /**
   * Gives an access token that is valid for at least `minValidityMs`, refreshing the session if needed.
   * With a fit token no request is made and no lock is taken.
   *
   * @param options.minValidityMs Milliseconds of validity to insist on. Default 30_000, or half of the granted life if that is less.
   * @throws {AuthError} `login-required`: the server will not refresh (RFC 6749 section 5.2, `invalid_grant`); data stays.
   * @throws {AuthError} `offline` or `server-busy`: no answer; nothing stored has changed.
   */
  getAccessToken(options: { readonly minValidityMs?: number; readonly signal?: AbortSignal } = {}): Promise<string> {
    return this.#actions.accessToken(this.#key, options)
  }

  /**
   * `fetch` as this user, to allow-listed origins only. A 401 causes at most one refresh and one replay (RFC 6750 section 3.1);
   * a redirect is an error, because it would carry the token away. The head of the answer has to come within the app's `requestTimeoutMs`,
   * what is sent included; the body may take longer.
   *
   * @throws {AuthError} `invalid-argument` for an origin that is not on the list; `offline` if no answer came; as `getAccessToken`
   */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    return this.#actions.calls.fetch(this.#key, input, init)
  }

  logOut(options: Omit<LogOutOptions, 'user'> = {}): Promise<LogOutResult> {
    return this.#actions.logOut({ ...options, user: this })
  }

  refreshCustomData(options: CallOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.#actions.calls.refreshCustomData(this.#key, options)
  }

  /** Adds another way to log in to this account; the id stays. @throws {AuthError} `refused` with `identity-taken` */
  linkCredentials(credentials: Credentials, options: CallOptions = {}): Promise<void> {
    return this.#actions.calls.link(this.#key, credentials, options)
  }

  changePassword(change: { readonly current: string; readonly next: string }, options: CallOptions = {}): Promise<void> {
    return this.#actions.calls.changePassword(this.#key, change, options)
  }

  callFunction(name: string, ...args: unknown[]): Promise<unknown> {
    return this.#actions.calls.callFunction(this.#key, name, args, {})
  }

  get apiKeys(): ApiKeys {
    return this.#actions.calls.apiKeys(this.#key)
  }

  get sessions(): Sessions {
    return this.#actions.calls.sessions(this.#key)
  }

  toJSON(): { readonly id: string; readonly state: UserState } {
    const { id, state } = this.#now
    return { id, state }
  }

  get #now(): UserSnapshot {
    return this.#actions.snapshot(this.#key)
  }
}

/** An object without a prototype whose every name is a function of the server; names that promises and inspectors probe stay absent. */
function functionsOf(
  call: (name: string, args: unknown[]) => Promise<unknown>,
): Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>> {
  const none: Record<string, (...args: unknown[]) => Promise<unknown>> = {}
  return new Proxy(Object.setPrototypeOf(none, null) as typeof none, {
    get: (_, name) =>
      typeof name !== 'string' || name === 'then' || name === 'toJSON' ? undefined : (...args: unknown[]) => call(name, args),
  })
}
