import type { Observable } from 'rxjs'
import type { LockReason, UnavailableReason, UnlockMethod } from './auth-state.ts'
import type { Credentials } from './credentials.ts'
import type { Session } from './session.ts'
import type { DeviceRecord, Revision, UserIdentity, UserKey, UserProfile, UserRecord } from './user-record.ts'
import type { World } from './world/index.ts'

/**
 * How auth-core speaks to a server. Stateless: no storage, no timers, no locks. Only `logIn` and `refresh` are required;
 * for every other method its presence is the capability. Methods reject with `BackendFailure`.
 */
export interface AuthBackend {
  /** The origin that everything stored, locked and broadcast is bound to, such as `https://api.example.org`. */
  readonly issuer: string
  readonly traits: BackendTraits
  logIn(credentials: Credentials, context: BackendContext): Promise<Grant | Challenge>
  refresh(session: Session, context: RefreshContext): Promise<Grant>
  /** Ends the session that the handle belongs to. A session that is already gone counts as ended. */
  revoke?(revokeHandle: string, context: BackendContext): Promise<void>
  profile?(context: UserContext): Promise<ProfileAnswer>
  customData?(context: UserContext): Promise<Readonly<Record<string, unknown>>>
  link?(credentials: Credentials, context: UserContext): Promise<ProfileAnswer>
  deleteUser?(proof: Credentials | undefined, context: UserContext): Promise<void>
  changePassword?(change: { readonly current: string; readonly next: string }, context: UserContext): Promise<Grant>
  callFunction?(name: string, args: readonly unknown[], context: UserContext): Promise<unknown>
  /** Puts the access token on a request; may ask for one replay (sender-constrained tokens). */
  authorize?(request: Request, accessToken: string): Promise<Request>
  beginRedirect?(provider: string, options: { readonly redirectUri: string }, context: BackendContext): Promise<RedirectStart>
  finishRedirect?(answer: URLSearchParams, begun: RedirectStart, context: BackendContext): Promise<Grant>
  confirmWipe?(handle: string, receipt: Readonly<Record<string, unknown>>, context: BackendContext): Promise<void>
  readonly emailPassword?: EmailPasswordBackend
  readonly apiKeys?: ApiKeysBackend
  readonly sessions?: SessionsBackend
  readonly unlockKey?: UnlockKeyBackend
}

export interface BackendTraits {
  readonly rotation: 'rotating' | 'fixed'
  /** Whether a repeated refresh token ends every session of the user. Then an orphaned attempt is not repeated. */
  readonly reuseEndsAllSessions: boolean
}

export interface BackendContext {
  readonly fetch: typeof globalThis.fetch
  /** The device's wall clock, to learn the server's offset. */
  readonly nowMs: () => number
  readonly signal?: AbortSignal | undefined
  readonly idempotencyKey?: string
  /** The server's name for this user's device, if there is one already. */
  readonly deviceId?: string
}

export interface RefreshContext extends BackendContext {
  /** The same for every repetition of one attempt: a server that knows it answers a lost answer again. */
  readonly attemptId: string
}

export interface UserContext extends BackendContext {
  readonly accessToken: string
}

/** A token answer, already free of wire names. Instants by the server's clock. */
export interface Grant {
  readonly userId: string
  readonly accessToken: string
  readonly accessLifeMs: number
  /** Absent in a refresh: the old one stays (RFC 6749 section 6). */
  readonly refreshToken?: string
  readonly sessionId?: string
  readonly idleEndsAtMs?: number
  readonly endsAtMs?: number
  readonly revokeHandle?: string
  /** Server time minus device time when the answer arrived, if the server told its time. */
  readonly serverOffsetMs?: number
  readonly deviceId?: string
  readonly isNew?: boolean
  readonly identities?: readonly UserIdentity[]
  readonly profile?: UserProfile
  readonly customData?: Readonly<Record<string, unknown>>
}

/** The server wants one more step before it grants (second factors; no built-in adapter asks for one today). */
export interface Challenge {
  readonly challenge: string
  readonly kind: string
}

export interface ProfileAnswer {
  readonly userId: string
  readonly identities: readonly UserIdentity[]
  readonly profile: UserProfile
  readonly customData: Readonly<Record<string, unknown>>
}

export interface RedirectStart {
  readonly url: string
  readonly state: string
  readonly verifier: string
}

export interface EmailPasswordBackend {
  register(account: { readonly email: string; readonly password: string }, context: BackendContext): Promise<void>
  confirm?(proof: { readonly token: string; readonly tokenId: string }, context: BackendContext): Promise<void>
  resendConfirmation?(email: string, context: BackendContext): Promise<void>
  retryCustomConfirmation?(email: string, context: BackendContext): Promise<void>
  sendResetMail?(email: string, context: BackendContext): Promise<void>
  reset?(proof: { readonly token: string; readonly tokenId: string; readonly password: string }, context: BackendContext): Promise<void>
  resetByFunction?(
    account: { readonly email: string; readonly password: string },
    args: readonly unknown[],
    context: BackendContext,
  ): Promise<void>
}

export interface ApiKeyInfo {
  readonly id: string
  readonly name: string
  readonly enabled: boolean
}

export interface ApiKeysBackend {
  /** The only call that ever shows `key`. */
  create(name: string, context: UserContext): Promise<ApiKeyInfo & { readonly key: string }>
  fetch(id: string, context: UserContext): Promise<ApiKeyInfo | null>
  fetchAll(context: UserContext): Promise<readonly ApiKeyInfo[]>
  enable(id: string, context: UserContext): Promise<void>
  disable(id: string, context: UserContext): Promise<void>
  delete(id: string, context: UserContext): Promise<void>
}

export interface SessionInfo {
  readonly id: string
  readonly current: boolean
  readonly createdAtMs: number
  readonly lastUsedAtMs?: number
  readonly deviceId?: string
}

export interface SessionsBackend {
  list(context: UserContext): Promise<readonly SessionInfo[]>
  revoke(id: string, context: UserContext): Promise<void>
  revokeOthers(context: UserContext): Promise<void>
}

/** A key per user and device that the server keeps and gives out after an online log-in only. */
export interface UnlockKeyBackend {
  get(context: UserContext): Promise<Uint8Array<ArrayBuffer>>
  forget(context: UserContext): Promise<void>
}

/**
 * Where the users of one app on one device are kept. Every write names the revision it was made from; a write that lost rejects with
 * `RevisionConflict` and changed nothing. Order of writes: the user's record first, then the device record, which is the commit point.
 */
export interface SessionStore {
  /** @throws {StoreUnavailable} and leaves what is stored as it is */
  open(context: StoreContext): Promise<void>
  read(key: UserKey): Promise<UserRecord | null>
  list(): Promise<readonly UserRecord[]>
  findByTag(tag: string): Promise<UserRecord | null>
  /** A keyed digest of `value`, so that a record can be found again by a login name or id that is not stored. */
  tag(purpose: TagPurpose, value: string): Promise<string>
  /** `expected: null` creates. Resolves with what was stored, under its new revision. */
  update(key: UserKey, expected: Revision | null, next: UserRecordDraft): Promise<UserRecord>
  remove(key: UserKey, expected: Revision): Promise<void>
  readonly device: DeviceStore
  /** Also what other tabs wrote; a hint to read again, may come late or twice. */
  readonly changes$: Observable<StoreChange>
  close(): Promise<void>
}

export interface StoreContext {
  readonly appId: string
  readonly issuer: string
  readonly world: World
}

export type TagPurpose = 'user-id' | 'login'
export type UserRecordDraft = Omit<UserRecord, 'revision'>
export type DeviceRecordDraft = Omit<DeviceRecord, 'revision'>
export type StoreChange = { readonly kind: 'user'; readonly key: UserKey } | { readonly kind: 'device' }

export interface DeviceStore {
  /** The first read creates an empty one. */
  read(): Promise<DeviceRecord>
  update(expected: Revision, next: DeviceRecordDraft): Promise<DeviceRecord>
}

/** Another write was first. Read again and decide anew. */
export class RevisionConflict extends Error {
  override readonly name = 'RevisionConflict'
}

export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
  readonly reason: UnavailableReason

  constructor(reason: UnavailableReason, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.reason = reason
  }
}

/**
 * Keys of users who can be locked. Secrets are passed and never kept. Without a vault `app.unlock` is `not-supported`.
 * Methods that take a secret reject with `UnlockRefused`.
 */
export interface DeviceVault {
  /** `proof`: a secret that opens the user already; needed where nothing that opens without one is stored. */
  enroll(user: UserKey, kind: UnlockMethod, secret: string, proof?: UnlockProof): Promise<void>
  disenroll(user: UserKey, kind: UnlockMethod): Promise<void>
  rewrap(user: UserKey, kind: UnlockMethod, secret: string): Promise<void>
  unlock(hint: UnlockHint, kind: UnlockMethod, secret: string, signal?: AbortSignal): Promise<UserKey>
  /**
   * Drops the user's keys in every tab. For `switch` that is all; every other reason also destroys what opens without a secret.
   *
   * @throws {UnlockRefused} `no-unlock-method` if nothing could open the user again (not for `switch`)
   */
  lock(user: UserKey, why: LockReason): Promise<void>
  destroy(user: UserKey): Promise<void>
  methods(user: UserKey): Promise<readonly UnlockMethod[]>
  /** The vault found a reason to lock a user (idle, age, clock, attempts); the app locks, after what it has to finish. */
  readonly changes$: Observable<VaultChange>
  /**
   * Called once the server has accepted a log-in and before it is stored: opens the user's data key by the fresh `proof`, else by the server's
   * unlock key, else prepares a new one. What it prepared is written by the next `SessionStore.update` of that user, together with the session (S6).
   */
  admit?(user: UserKey, proof: UnlockProof | null, serverKey?: () => Promise<Uint8Array<ArrayBuffer>>): Promise<Admission>
  status?(user: UserKey): Promise<VaultStatus>
  /**
   * Gives an open user what its former keys sealed (`UserRecord.sealedData`), as far as `previousSecret` opens it and nothing newer is there.
   * Counted like any attempt.
   *
   * @throws {UnlockRefused} `wrong-secret`, `throttled`, `attempts`; `needs-secret` if the user is locked
   */
  rescue?(user: UserKey, previousSecret: string, signal?: AbortSignal): Promise<void>
}

export interface UnlockProof {
  readonly kind: UnlockMethod
  readonly secret: string
}

/** `new-key`: what the user's old key sealed could not be opened and was set aside (event `data-sealed`). */
export type Admission = 'same-key' | 'first-key' | 'new-key'

/** What an app can show beside the field for a secret. */
export interface VaultStatus {
  readonly methods: readonly UnlockMethod[]
  /** Why nothing opens the user offline now. */
  readonly refuses?: 'age' | 'clock' | 'attempts'
  readonly attemptsLeft: number
  readonly retryAtMs?: number
  /** When offline access ends if the server is not reached until then, by the device's clock. */
  readonly offlineEndsAtMs?: number
}

/** Why a vault did not open, or did not do what was asked. `wrong-secret` also where nobody is known: the two are not told apart. */
export class UnlockRefused extends Error {
  override readonly name = 'UnlockRefused'
  readonly code: UnlockRefusal
  readonly attemptsLeft?: number
  readonly retryAtMs?: number

  constructor(code: UnlockRefusal, message: string, facts: { readonly attemptsLeft?: number; readonly retryAtMs?: number } = {}) {
    super(message)
    this.code = code
    if (facts.attemptsLeft !== undefined) this.attemptsLeft = facts.attemptsLeft
    if (facts.retryAtMs !== undefined) this.retryAtMs = facts.retryAtMs
  }
}

export type UnlockRefusal =
  | 'wrong-secret'
  /** Wait until `retryAtMs`. */
  | 'throttled'
  /** No attempts are left; log in online. */
  | 'attempts'
  /** Offline access has ended by age; log in online. */
  | 'age'
  /** The device's clock was turned back; log in online, or correct the clock. */
  | 'clock'
  /** Locking would leave no way to open the user again. */
  | 'no-unlock-method'
  /** Changing methods needs a secret that opens the user, or an online log-in. */
  | 'needs-secret'
  /** The secret is too weak for its kind, or the platform cannot protect that kind. */
  | 'weak-secret'

export type UnlockHint = { readonly key: UserKey } | { readonly login: string }
export type VaultChange = { readonly key: UserKey; readonly why: LockReason }

/** Keys that the platform holds. `quality`: what holds them against somebody who has the disk. */
export interface KeyProvider {
  readonly quality: 'none' | 'os' | 'hardware'
  /** One per app and device: tags, labels, outbox, counters. */
  deviceKey(): Promise<PlatformKey>
  /** One per user, gone after `destroy`. */
  userFactor(key: UserKey): Promise<PlatformKey>
  destroy(key: UserKey): Promise<void>
  /** Remembers, beside the keys, that the named store exists, so that its loss is noticed. */
  mark?(store: string): Promise<void>
  isMarked?(store: string): Promise<boolean>
}

/** A keyed MAC (HMAC-SHA-256) whose key does not leave the platform. */
export interface PlatformKey {
  mac(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>
}

/**
 * What sync-guard (or anybody who sends on the user's behalf) needs to know of a session. A new object is a new session; a refresh keeps the object.
 * sync-guard declares its own type; a compile-time test keeps both assignable.
 */
export interface SyncSession {
  readonly userId: string
  /**
   * A token fit to be sent now; `""` if a cookie authenticates. Asked before every send.
   *
   * @param options.rejected the token that a server has just refused: another one is needed.
   * @throws an error with `code === 'login-required'` and a `reason` when the session is over; anything else means "not now".
   */
  getToken(options?: { readonly rejected?: string; readonly signal?: AbortSignal }): Promise<string>
  readonly databaseName?: string
  /** Whether data left behind by this user can be opened again later (not for anonymous users). Default true. */
  readonly canKeep?: boolean
}

/** What happens to writes that were not uploaded when a user leaves. */
export type Unsynced = 'upload' | 'keep' | 'discard'
export type LeaveReason = 'log-out' | 'remove' | 'delete' | 'switch' | 'lock'

/** Told before a user leaves, while its session still works. */
export interface Leave {
  readonly userKey: UserKey
  readonly userId: string
  readonly reason: LeaveReason
  /** `undefined`: the caller did not say; the default of `reason` applies. */
  readonly unsynced: Unsynced | undefined
  readonly deadlineAtMs: number
  readonly signal?: AbortSignal
  /** Only say whether the leave would be refused (uploading first, if `unsynced` says so); the leave itself follows or not. */
  readonly rehearsal?: true
}

/** What a participant of a leave did. Rejecting with `code: 'pending-writes'` refuses the leave, and nothing has changed. */
export interface LeaveReport {
  readonly uploaded?: number
  readonly kept?: number
  readonly discarded?: number
  readonly unknownOutcome?: number
  readonly silentTabs?: number
}

/** The data of users, as removal needs it. Implemented by sync-guard. */
export interface UserData {
  wipe(incarnation: string): Promise<'verified' | 'not-verified' | { readonly blockedBy: string }>
  finishWipes(incarnations: readonly string[]): Promise<readonly string[]>
}
