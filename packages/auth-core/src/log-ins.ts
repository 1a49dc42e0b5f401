import { type AppContext, askBackend } from './app-context.ts'
import type { AppView } from './app-view.ts'
import { unlockErrorOf } from './auth-failure.ts'
import type { Credentials } from './credentials.ts'
import { AuthError } from './errors.ts'
import type { Leaves } from './leaves.ts'
import { normalizedLogin, readProfile, requestGrant, storeLogIn } from './log-in.ts'
import type { DeviceVault, Grant } from './ports.ts'
import { randomId } from './random-id.ts'
import { holdWhileAlive } from './refresh-lock.ts'
import type { RevocationOutbox } from './revocation-outbox.ts'
import { canReturn, isLeaving } from './stored-auth-state.ts'
import { switchTo } from './switch-user.ts'
import type { User } from './user.ts'
import type { DeviceRecord, UserKey, UserRecord } from './user-record.ts'
import { Verification } from './verification.ts'

/** A log-in does not wait longer than this for what is nice to have: the profile, the unlock key. It arrives when it arrives. */
const NICETY_PATIENCE_MS = 5_000

type EmailPassword = Extract<Credentials, { readonly provider: 'email-password' }>

/** How users become current: by log-in, with and without the server, and by switching. */
export class LogIns {
  readonly #context: AppContext
  readonly #view: AppView
  readonly #leaves: Leaves
  readonly #outbox: RevocationOutbox
  readonly #offlineAfterMs: number
  readonly #verification: Verification

  constructor(context: AppContext, view: AppView, leaves: Leaves, outbox: RevocationOutbox, offlineAfterMs: number) {
    this.#context = context
    this.#view = view
    this.#leaves = leaves
    this.#outbox = outbox
    this.#offlineAfterMs = offlineAfterMs
    this.#verification = new Verification(
      context,
      (grant, credentials) => this.#accept(grant, credentials),
      (grant) => outbox.queue(grant.revokeHandle),
    )
  }

  async logIn(credentials: Credentials, signal: AbortSignal | undefined): Promise<User> {
    const { vault } = this.#context
    if (credentials.provider === 'anonymous' && credentials.reuse) return this.#reuseAnonymous(credentials, signal)
    if (credentials.provider === 'email-password' && vault) return this.#logInOnlineOrOffline(vault, credentials, signal)
    return this.#accept(await requestGrant(this.#context, credentials, signal), credentials)
  }

  /** Makes somebody current who needs no log-in; whoever was current stops syncing first. */
  async makeCurrent(record: UserRecord, signal?: AbortSignal): Promise<User> {
    const { currentUser } = this.#view
    if (currentUser && currentUser.key !== record.key) await this.#leaves.ask(currentUser, 'switch', signal ? { signal } : {})
    await switchTo(this.#context, record.key)
    await this.#dropKeys(currentUser, record.key)
    this.#view.show()
    this.#view.tell('switched', record.key)
    return this.#view.userOf(record)
  }

  /** After somebody left, if the app asked for it: whoever logged in last of those who stay. */
  async fallBack(): Promise<void> {
    if (this.#view.state.kind !== 'signed-out') return
    const { device, records } = this.#context.directory
    const staying = [...records.values()].filter((record) => record.status.kind === 'signed-in' && !(device && isLeaving(device, record)))
    const recent = staying.sort((a, b) => b.epoch - a.epoch)[0]
    if (recent) await this.makeCurrent(recent)
  }

  stop(): void {
    this.#verification.stop()
  }

  async #reuseAnonymous(credentials: Credentials, signal: AbortSignal | undefined): Promise<User> {
    const { directory } = this.#context
    const found = await holdWhileAlive(this.#context, 'anonymous', async () => {
      const standing = await this.#liveAnonymous()
      const before = directory.device?.anonymous
      return standing ? { standing } : { before, grant: await requestGrant(this.#context, credentials, signal) }
    })
    if (found.standing) return this.makeCurrent(found.standing, signal)
    try {
      return await this.#accept(found.grant, credentials, ({ anonymous }) => anonymous === found.before)
    } catch (error) {
      // Another tab was first: its user is everybody's.
      const first = error instanceof AuthError && error.code === 'conflict' ? await this.#liveAnonymous() : undefined
      if (first) return this.makeCurrent(first, signal)
      throw error
    }
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

  /** Asks the server; if it does not answer, the person's own secret opens what is on this device, while the request goes on. */
  async #logInOnlineOrOffline(vault: DeviceVault, credentials: EmailPassword, signal: AbortSignal | undefined): Promise<User> {
    const asked = requestGrant(this.#context, credentials, signal)
    const answer = await this.#withinPatience(asked)
    if (answer.kind === 'granted') return this.#accept(answer.grant, credentials)
    if (answer.kind === 'failed' && !isUnreached(answer.error)) throw answer.error
    try {
      return await this.#unlockOffline(vault, credentials, asked, signal)
    } catch (refusal) {
      // The secret may be right and this device just not know it: the server's answer, if it still comes, decides.
      const late = await asked.catch((error: unknown) => (isUnreached(error) ? undefined : Promise.reject(error as Error)))
      if (late) return this.#accept(late, credentials)
      throw await this.#offlineError(refusal)
    }
  }

  async #withinPatience(asked: Promise<Grant>) {
    const { world } = this.#context
    const { promise: patience, resolve } = Promise.withResolvers<{ readonly kind: 'waiting' }>()
    const stop = world.timers.start(world.connectivity.online ? this.#offlineAfterMs : 0, () => resolve({ kind: 'waiting' }))
    const settled = asked.then(
      (grant) => ({ kind: 'granted', grant }) as const,
      (error: unknown) => ({ kind: 'failed', error }) as const,
    )
    const answer = await Promise.race([settled, patience])
    stop()
    return answer
  }

  async #unlockOffline(
    vault: DeviceVault,
    credentials: EmailPassword,
    asked: Promise<Grant>,
    signal: AbortSignal | undefined,
  ): Promise<User> {
    const { directory, tabLock } = this.#context
    const key = await vault.unlock({ login: normalizedLogin(credentials.email) }, 'password', credentials.password, signal)
    const { currentUser } = this.#view
    if (currentUser && currentUser.key !== key) await this.#leaves.ask(currentUser, 'switch')
    const { epoch } = await directory.rereadDevice()
    const reopened = await directory.updateUser(key, (record) => {
      if (record.status.kind !== 'logged-out' || record.vault.kind !== 'open') return null
      return { ...record, epoch: Math.max(epoch, record.epoch) + 1, generation: 0, status: { kind: 'unverified', ownerLock: tabLock } }
    })
    const record = reopened ?? (await directory.reread(key))
    if (!record) throw new AuthError('user-not-found', 'The user was removed from this device. Log in again.')
    await directory.updateDevice((device) => ({ ...device, epoch: Math.max(device.epoch, record.epoch), currentUser: key }))
    await this.#dropKeys(currentUser, key)
    if (reopened) this.#verification.begin(reopened, credentials, asked)
    else void asked.then(({ revokeHandle }) => this.#outbox.queue(revokeHandle)).catch(() => {}) // the session that was kept goes on
    this.#view.show()
    this.#view.tell('unlocked', key)
    return this.#view.userOf(record)
  }

  async #offlineError(refusal: unknown): Promise<unknown> {
    const { directory } = this.#context
    await directory.load()
    if (directory.records.size === 0) {
      return new AuthError('first-login-needs-network', 'Nobody has logged in on this device yet: the first log-in needs the server.', {
        cause: refusal,
      })
    }
    return unlockErrorOf(refusal, 'offline-login-failed')
  }

  async #accept(grant: Grant, credentials: Credentials, mayCommit: (device: DeviceRecord) => boolean = () => true): Promise<User> {
    const { directory, world } = this.#context
    try {
      const { currentUser } = this.#view
      if (currentUser && currentUser.id !== grant.userId) await this.#leaves.ask(currentUser, 'switch')
      const known = await directory.findByTag(await directory.tag('user-id', grant.userId))
      const key = known?.key ?? (randomId(world.random) as UserKey)
      await this.#admit(key, grant, credentials)
      const record = await holdWhileAlive(this.#context, 'log-in', () => storeLogIn(this.#context, key, grant, credentials, mayCommit))
      await this.#dropKeys(currentUser, record.key)
      this.#view.show()
      this.#view.tell('logged-in', record.key)
      void this.#outbox.deliver()
      if (!grant.identities) await this.#readProfile(record.key, grant.accessToken)
      return this.#view.userOf(record)
    } catch (error) {
      await this.#outbox.queue(grant.revokeHandle)
      throw error
    }
  }

  /** Somebody else is current now: whoever was before is not left open in memory (S8). */
  async #dropKeys(before: User | null, current: UserKey): Promise<void> {
    if (!before || before.key === current) return
    try {
      await this.#context.vault?.lock(before.key, 'switch')
      await this.#context.directory.reread(before.key)
    } catch (error) {
      this.#view.tell('vault-failed', before.key, error instanceof Error ? error.name : undefined)
    }
  }

  /** Lets the vault open or make the user's key before the log-in is stored. Its trouble is not the person's: the log-in goes on (S6). */
  async #admit(key: UserKey, { accessToken }: Grant, credentials: Credentials): Promise<void> {
    const { vault, backend } = this.#context
    if (!vault?.admit) return
    const { unlockKey } = backend
    const proof = credentials.provider === 'email-password' ? ({ kind: 'password', secret: credentials.password } as const) : null
    try {
      const reading = unlockKey && askBackend(this.#context, (ask) => unlockKey.get({ ...ask, accessToken }))
      const serverKey = await this.#withoutWaitingLong(reading?.catch(() => undefined))
      const admission = await vault.admit(key, proof, serverKey && (async () => serverKey))
      if (admission === 'new-key') this.#view.tell('data-sealed', key)
    } catch (error) {
      this.#view.tell('vault-failed', key, error instanceof Error ? error.name : undefined)
    }
  }

  async #readProfile(key: UserKey, accessToken: string): Promise<void> {
    const reading = readProfile(this.#context, key, accessToken).catch((error: unknown) => {
      this.#view.tell('profile-failed', key, error instanceof Error ? error.name : undefined)
    })
    await this.#withoutWaitingLong(reading)
  }

  async #withoutWaitingLong<T>(work: Promise<T> | undefined): Promise<T | undefined> {
    if (!work) return undefined
    const { promise: patience, resolve } = Promise.withResolvers<undefined>()
    const stop = this.#context.world.timers.start(NICETY_PATIENCE_MS, () => resolve(undefined))
    const result = await Promise.race([work, patience])
    stop()
    return result
  }
}

function isUnreached(error: unknown): boolean {
  return error instanceof AuthError && (error.code === 'offline' || error.code === 'server-busy')
}
