import type { Observable } from 'rxjs'
import { AppShell } from './app-shell.ts'
import type { AuthState, LockedUser, UnlockMethod } from './auth-state.ts'
import type { Credentials } from './credentials.ts'
import type { EmailPasswordAuth } from './email-password-auth.ts'
import type { LeaveParticipant, LogOutOptions, LogOutResult } from './log-out.ts'
import type { OverReason } from './outcome.ts'
import type { AuthBackend, DeviceVault, SessionStore, SyncSession, UnlockProof, UserData } from './ports.ts'
import type { SessionOverPolicy } from './unlocking.ts'
import type { User } from './user.ts'
import type { CallOptions } from './user-calls.ts'
import type { UserKey } from './user-record.ts'
import type { World } from './world/index.ts'

export interface AppOptions {
  /** Names the app on this device. Everything stored is bound to it and to the backend's issuer. */
  readonly id: string
  readonly backend: AuthBackend
  /** Default: users are kept in memory and forgotten with the page. `@nightlatch/session-cache` keeps them on disk, sealed. */
  readonly store?: SessionStore
  readonly vault?: DeviceVault
  readonly userData?: UserData
  /** Called once per session that is over, also for one that was over before the app started. The data stays. */
  readonly onLoginRequired?: (event: { readonly reason: OverReason; readonly locked: boolean }) => void
  /** Who is current after the current user left. Default `none`: nobody lands in somebody else's account (S7). */
  readonly fallback?: 'none' | 'most-recent'
  /** Origins besides the backend's that `user.fetch` may send tokens to. */
  readonly fetchOrigins?: readonly string[]
  /** How long one request may take, milliseconds. Default 15_000. */
  readonly requestTimeoutMs?: number
  /** How long a log-in waits for the server before the person's own secret opens what is on this device. Default 4_000; 0 without a network. */
  readonly offlineAfterMs?: number
  /** What happens to open data when a session is over. Default: shut out by the server -> lock, device wiped -> wipe, else it stays open. */
  readonly onSessionOver?: (reason: OverReason) => SessionOverPolicy
  readonly world?: World
}

export interface RemoveOptions extends Omit<LogOutOptions, 'user' | 'sessions'> {}

/** One thing that happened, for logs and inspectors; the state itself is `authState`. */
export interface AppEvent {
  readonly type:
    | 'restored'
    | 'storage-lost'
    | 'logged-in'
    | 'logged-out'
    | 'removed'
    | 'deleted'
    | 'switched'
    | 'session-over'
    | 'refreshed'
    | 'refresh-failed'
    | 'locked'
    | 'unlocked'
    | 'data-sealed'
    | 'data-rescued'
    | 'vault-failed'
    | 'profile-failed'
  readonly userKey: UserKey | null
  readonly previous: AuthState<User>
  readonly next: AuthState<User>
  readonly reason?: string
  readonly atMs: number
}

/** Users of one app on one device. */
export interface App {
  readonly id: string
  /** Settles when what is stored has been read; never rejects: `authState` says what came of it. */
  readonly ready: Promise<void>
  readonly currentUser: User | null
  /** Open users under their id, locked ones under their key. */
  readonly allUsers: Readonly<Record<string, User | LockedUser>>
  readonly allUsers$: Observable<Readonly<Record<string, User | LockedUser>>>
  readonly authState: AuthState<User>
  /** The state now and after every change; never fails. */
  readonly authState$: Observable<AuthState<User>>
  readonly events$: Observable<AppEvent>
  readonly emailPasswordAuth: EmailPasswordAuth
  /**
   * The current user's session for whoever sends on its behalf (see `SyncSession`): `undefined` while restoring, `null` without a user.
   * The same object comes again when its session is over: ask it for a token and it says why.
   */
  readonly syncSession$: Observable<SyncSession | null | undefined>

  /**
   * Logs in and makes the user current. A user that was here before gets its record and its data back.
   *
   * @throws {AuthError} `invalid-credentials`, `offline`, `server-busy`, `invalid-argument`, `aborted`
   */
  logIn(credentials: Credentials, options?: CallOptions): Promise<User>

  /**
   * Ends the session on this device, online or not: resolves when the tokens are forgotten here, and sees to it that the server hears of it.
   *
   * @throws {AuthError} `pending-writes` if nobody could ever open what was not uploaded; nothing has changed then
   */
  logOut(options?: LogOutOptions): Promise<LogOutResult>

  /** @throws {AuthError} `not-logged-in` or `user-not-found`: such a user cannot be current */
  switchUser(user: User | LockedUser, options?: CallOptions): Promise<User | null>

  /** Takes the user and its data off this device; the account stays. @throws {AuthError} `pending-writes` unless `unsynced` says what to do */
  removeUser(user: User | LockedUser, options?: RemoveOptions): Promise<LogOutResult>

  /** Deletes the account of this very user at the server, whoever is current, then takes it off this device. Never queued. */
  deleteUser(user: User, options?: RemoveOptions & { readonly proof?: Credentials }): Promise<LogOutResult>

  /**
   * Opens a locked user with its own secret, online or not, and makes it current.
   *
   * @throws {AuthError} `unlock-failed` with `reason`, `attemptsLeft`, `retryAtMs`
   */
  unlock(kind: UnlockMethod, secret: string, options?: CallOptions & { readonly user?: LockedUser }): Promise<User>
  /** Drops the keys of a user, in every tab. @throws {AuthError} `no-unlock-method` if nothing could open it again */
  lock(user?: User): Promise<void>
  /** Another way to unlock the current user. @throws {AuthError} `weak-secret`, `needs-secret` */
  enableUnlock(kind: UnlockMethod, secret: string, options?: { readonly proof?: UnlockProof }): Promise<void>
  disableUnlock(kind: UnlockMethod): Promise<void>

  /**
   * Opens what an older key of this user sealed (`user.sealedData`, event `data-sealed`) with the secret of then, and keeps of it what is not
   * known better by now. A secret that opens only a part leaves the rest where it is.
   *
   * @throws {AuthError} `unlock-failed` with `reason`, `attemptsLeft`, `retryAtMs`; `locked`; `invalid-argument` if nothing is sealed
   */
  rescueData(user: User, previousSecret: string, options?: CallOptions): Promise<void>

  /** Takes part in every leave, before it happens and while the session still works. Returns how to stop taking part. */
  beforeLeave(participant: LeaveParticipant): () => void

  /** Stops timers and listening, and closes the store. Nothing stored changes. */
  close(): Promise<void>
}

/**
 * Makes an app. Synchronous; reading what is stored begins at once and ends with `ready`. Makes no request before somebody needs one.
 *
 * @throws {AuthError} `invalid-argument` for an id that cannot be part of a name
 */
export function createApp(options: AppOptions): App {
  return new AppShell(options)
}
