import type { AppOptions } from './app.ts'
import { type AppContext, notSupported } from './app-context.ts'
import type { AppView } from './app-view.ts'
import { unlockErrorOf } from './auth-failure.ts'
import type { LockedUser, LockReason, UnlockMethod } from './auth-state.ts'
import { AuthError } from './errors.ts'
import { given } from './given.ts'
import type { Leaves } from './leaves.ts'
import type { OverReason } from './outcome.ts'
import type { DeviceVault, UnlockProof, VaultChange } from './ports.ts'
import type { User } from './user.ts'
import type { UserKey, UserRecord } from './user-record.ts'

/** How long what is pending may take to be uploaded before an idle user is locked, milliseconds. */
const IDLE_FLUSH_MS = 10_000

export type SessionOverPolicy = 'stay-open' | 'lock' | 'wipe'

/** What happens to open data when a session is over: somebody whom the server has shut out should not go on reading; everybody else should. */
export function defaultOnSessionOver(reason: OverReason): SessionOverPolicy {
  switch (reason) {
    case 'disabled':
    case 'deleted':
    case 'revoked':
    case 'reuse':
      return 'lock'
    case 'device-wiped':
      return 'wipe'
    case 'expired':
    case 'unknown':
    case 'credential-changed':
    case 'unverified':
      return 'stay-open'
  }
}

/** Locks and unlocks users; the keys are the vault's. */
export class Unlocking {
  readonly #context: AppContext
  readonly #view: AppView
  readonly #leaves: Leaves
  readonly #policy: NonNullable<AppOptions['onSessionOver']>

  constructor(context: AppContext, view: AppView, leaves: Leaves, policy: AppOptions['onSessionOver'] = defaultOnSessionOver) {
    this.#context = context
    this.#view = view
    this.#leaves = leaves
    this.#policy = policy
  }

  async unlock(kind: UnlockMethod, secret: string, user: LockedUser | undefined, signal?: AbortSignal): Promise<UserRecord> {
    const { directory } = this.#context
    const { state } = this.#view
    const locked = user ?? (state.kind === 'locked' ? state.user : undefined)
    if (!locked) throw new AuthError('invalid-argument', 'Nobody is locked.')
    let key: UserKey
    try {
      key = await this.#vault.unlock({ key: locked.key }, kind, secret, signal)
    } catch (refusal) {
      await this.refreshFacts()
      throw unlockErrorOf(refusal, 'unlock-failed')
    }
    const record = await directory.reread(key)
    if (record?.vault.kind !== 'open') throw new AuthError('locked', 'The user is still locked.')
    this.#view.show()
    this.#view.tell('unlocked', key)
    return record
  }

  async lock(user: User | null, why: LockReason): Promise<void> {
    if (!user) throw new AuthError('not-logged-in', 'Nobody is logged in.')
    const vault = this.#vault
    if ((await vault.methods(user.key)).every((method) => method === 'device')) {
      throw new AuthError('no-unlock-method', 'Nothing could open this user again. Enable a password or passphrase first.')
    }
    await this.#leaves.ask(user, 'lock', why === 'idle' ? { unsynced: 'upload', timeoutMs: IDLE_FLUSH_MS } : {})
    try {
      await vault.lock(user.key, why)
    } catch (refusal) {
      throw unlockErrorOf(refusal, 'unlock-failed')
    }
    this.#view.lock = { why, methods: [] }
    await this.#context.directory.reread(user.key)
    await this.refreshFacts(why)
    this.#view.tell('locked', user.key, why)
  }

  async enable(user: User | null, kind: UnlockMethod, secret: string, proof?: UnlockProof): Promise<void> {
    await this.#change(user, (key) => this.#vault.enroll(key, kind, secret, proof))
  }

  async disable(user: User | null, kind: UnlockMethod): Promise<void> {
    await this.#change(user, (key) => this.#vault.disenroll(key, kind))
  }

  async rescue({ key, vault, sealedData }: UserRecord, previousSecret: string, signal?: AbortSignal): Promise<void> {
    if (!this.#vault.rescue) throw notSupported('rescue what older keys sealed')
    if (vault.kind !== 'open') throw new AuthError('locked', 'The user is locked. Unlock it, then rescue its data.')
    if (!sealedData) throw new AuthError('invalid-argument', 'Nothing of this user is sealed.')
    try {
      await this.#vault.rescue(key, previousSecret, signal)
    } catch (refusal) {
      throw unlockErrorOf(refusal, 'unlock-failed')
    }
    await this.#context.directory.reread(key)
    this.#view.show()
    this.#view.tell('data-rescued', key)
  }

  /** Asks the vault what would open the current user now, and shows it. */
  async refreshFacts(why?: LockReason): Promise<void> {
    const { vault, directory } = this.#context
    const key = directory.device?.currentUser
    const record = key ? directory.records.get(key) : undefined
    if (!vault?.status || !record || record.vault.kind === 'open') return this.#view.show()
    const { methods, refuses, attemptsLeft, retryAtMs, offlineEndsAtMs } = await vault.status(record.key)
    this.#view.lock = {
      why: refuses ?? why ?? this.#view.lock.why,
      methods,
      attemptsLeft,
      ...given('retryAtMs', retryAtMs),
      ...given('offlineEndsAtMs', offlineEndsAtMs),
    }
    this.#view.show()
  }

  /** The vault found a reason: an idle user is locked after what it has to finish, the others' keys are gone already. */
  async heed({ key, why }: VaultChange): Promise<void> {
    const { currentUser } = this.#view
    if (why === 'idle' && currentUser?.key === key) return this.lock(currentUser, 'idle')
    await this.#context.directory.reread(key)
    await this.refreshFacts(why)
  }

  /** The current user's session is over: what the app's policy says happens to its open data. */
  async afterSessionOver(user: User, reason: OverReason): Promise<void> {
    const { vault, backend } = this.#context
    const policy = this.#policy(reason)
    if (policy === 'wipe') {
      const handle = this.#context.directory.records.get(user.key)?.revokeHandle
      const { discarded, erased } = await this.#leaves.leave(user, 'remove', { unsynced: 'discard' })
      if (handle === undefined || !backend.confirmWipe) return
      const { world } = this.#context
      await backend.confirmWipe(handle, { discarded, erased }, { fetch: world.fetch, nowMs: () => world.clock.nowMs() })
      return
    }
    if (policy !== 'lock' || !vault) return
    const methods = await vault.methods(user.key)
    if (methods.some((method) => method !== 'device')) await this.lock(user, 'session-over')
  }

  get #vault(): DeviceVault {
    const { vault } = this.#context
    if (!vault) throw notSupported('lock and unlock users')
    return vault
  }

  async #change(user: User | null, change: (key: UserKey) => Promise<void>): Promise<void> {
    if (!user) throw new AuthError('not-logged-in', 'Nobody is logged in.')
    try {
      await change(user.key)
    } catch (refusal) {
      throw unlockErrorOf(refusal, 'unlock-failed')
    }
  }
}
