import { Subject } from 'rxjs'
import type { LockReason, UnlockMethod } from '../auth-state.ts'
import { MemoryShelf, memorySessionStore } from '../memory-session-store.ts'
import { type DeviceVault, type SessionStore, UnlockRefused, type UserRecordDraft, type VaultChange } from '../ports.ts'
import type { UserKey, UserRecord } from '../user-record.ts'

/** A device whose users can be locked: what is on the disk, shared by the tabs. Secrets lie here in the clear; it is for tests of what an app does with locks. */
export class FakeVaultDevice {
  readonly shelf = new MemoryShelf()
  readonly slots = new Map<UserKey, Map<UnlockMethod, string>>()
  /** Counts up when keys that were opened before count no more. */
  readonly locks = new Map<UserKey, number>()
  stay: 'device' | 'unlock' = 'device'

  openTab(): { readonly store: SessionStore; readonly vault: FakeVault } {
    const vault = new FakeVault(this)
    return { store: lockableStore(memorySessionStore(this.shelf), this, vault), vault }
  }

  slotsOf(user: UserKey): Map<UnlockMethod, string> {
    const slots = this.slots.get(user) ?? new Map<UnlockMethod, string>()
    this.slots.set(user, slots)
    return slots
  }
}

export class FakeVault implements DeviceVault {
  readonly changes$ = new Subject<VaultChange>()
  readonly #device: FakeVaultDevice
  /** The lock count at which this tab opened each user. */
  readonly #opened = new Map<UserKey, number>()
  attemptsLeft = 10

  constructor(device: FakeVaultDevice) {
    this.#device = device
  }

  isOpen(user: UserKey): boolean {
    return this.#device.slots.get(user)?.has('device') === true || this.#opened.get(user) === (this.#device.locks.get(user) ?? 0)
  }

  hold(user: UserKey): void {
    this.#opened.set(user, this.#device.locks.get(user) ?? 0)
  }

  async methods(user: UserKey): Promise<readonly UnlockMethod[]> {
    return [...this.#device.slotsOf(user).keys()]
  }

  async status(user: UserKey) {
    return { methods: (await this.methods(user)).filter((method) => method !== 'device'), attemptsLeft: this.attemptsLeft }
  }

  async enroll(user: UserKey, kind: UnlockMethod, secret: string): Promise<void> {
    this.#device.slotsOf(user).set(kind, secret)
  }

  async disenroll(user: UserKey, kind: UnlockMethod): Promise<void> {
    this.#device.slotsOf(user).delete(kind)
  }

  async rewrap(user: UserKey, kind: UnlockMethod, secret: string): Promise<void> {
    await this.enroll(user, kind, secret)
  }

  async admit(user: UserKey, proof: { readonly kind: UnlockMethod; readonly secret: string } | null) {
    const isFirst = !this.#device.slots.has(user)
    if (proof) await this.enroll(user, proof.kind, proof.secret)
    if (this.#device.stay === 'device') await this.enroll(user, 'device', '')
    this.hold(user)
    return isFirst ? ('first-key' as const) : ('same-key' as const)
  }

  async unlock(hint: { readonly key: UserKey } | { readonly login: string }, kind: UnlockMethod, secret: string): Promise<UserKey> {
    const user = 'key' in hint ? hint.key : this.#find(hint.login)
    if (user === undefined || this.#device.slotsOf(user).get(kind) !== secret) {
      this.attemptsLeft -= 1
      throw new UnlockRefused('wrong-secret', 'The secret does not open this user.', { attemptsLeft: this.attemptsLeft })
    }
    this.hold(user)
    if (this.#device.stay === 'device') await this.enroll(user, 'device', '')
    return user
  }

  async lock(user: UserKey, why: LockReason = 'explicit'): Promise<void> {
    if (why !== 'switch') this.#device.slotsOf(user).delete('device')
    this.#device.locks.set(user, (this.#device.locks.get(user) ?? 0) + 1)
    this.#device.shelf.changes$.next({ kind: 'user', key: user })
  }

  async destroy(user: UserKey): Promise<void> {
    await this.lock(user)
    this.#device.slots.delete(user)
  }

  #find(login: string): UserKey | undefined {
    return [...this.#device.shelf.users.values()].find(({ tags }) => tags.includes(`login:${login}`))?.key
  }
}

function lockableStore(store: SessionStore, device: FakeVaultDevice, vault: FakeVault): SessionStore {
  const seen = (record: UserRecord): UserRecord => (vault.isOpen(record.key) ? record : { ...record, vault: { kind: 'sealed' } })
  return {
    ...store,
    async read(key) {
      const record = await store.read(key)
      return record && seen(record)
    },
    async list() {
      return (await store.list()).map(seen)
    },
    async findByTag(tag) {
      const record = await store.findByTag(tag)
      return record && seen(record)
    },
    async update(key, expected, next: UserRecordDraft) {
      const before = device.shelf.users.get(key)
      const kept = next.vault.kind === 'open' || !before ? next.vault : before.vault
      const leaves = next.status.kind === 'logged-out' && before?.status.kind !== 'logged-out'
      const stored = await store.update(key, expected, { ...next, vault: kept })
      if (next.vault.kind === 'open') vault.hold(key)
      if (leaves) await vault.lock(key)
      return seen(stored)
    },
  }
}
