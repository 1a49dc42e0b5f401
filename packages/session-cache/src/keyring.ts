import type { KeyProvider, UserKey } from '@nightlatch/auth-core'
import { type DataKey, dataKeyFromRoot, eraseBytes, newRawDataKey, openDataKey, type RawDataKey } from './data-key.ts'
import type { Bytes } from './encoding.ts'
import { type Binding, type Envelope, headerOf } from './envelope.ts'
import type { WantedKey } from './key-handover.ts'
import { type Slots, slotKey, unwrapDataKey, wrapDataKey } from './slot.ts'
import { isDamaged, type UserRow } from './user-row.ts'

/** Binds an envelope of a user's record. */
export type BindUser = (key: UserKey) => Omit<Binding, 'field'>

export interface KeyringParts {
  readonly keys: KeyProvider
  readonly bind: BindUser
  readonly randomBytes: (length: number) => Bytes
  /** Whether the user may be opened now without a secret. */
  readonly mayOpen: (key: UserKey, row: UserRow) => Promise<boolean>
  /** Another tab's key, where tabs share keys. */
  readonly askTabs?: (wanted: WantedKey) => Promise<CryptoKey | null>
}

/** A key and slots that a log-in has prepared; the next write of that user's contents stores them. */
export interface Prepared {
  readonly dataKey: DataKey
  readonly slots: Slots
}

/** The data keys that are open in this tab, and the `device` slots that open them without a secret. */
export class Keyring {
  readonly #parts: KeyringParts
  readonly #open = new Map<UserKey, { readonly dataKey: DataKey; readonly locks: number }>()
  readonly #prepared = new Map<UserKey, Prepared>()
  /** Keys that no other tab had: not asked for again until one says it opened something. */
  readonly #askedInVain = new Set<string>()

  constructor(parts: KeyringParts) {
    this.#parts = parts
  }

  get openUsers(): readonly UserKey[] {
    return [...this.#open.keys()]
  }

  /** The key that `row` was sealed with, if it is open here or opens without a secret. A log-out or lock since closes it. */
  async keyFor(key: UserKey, row: UserRow): Promise<DataKey | null> {
    const held = this.#held(key, row)
    if (held) return held
    this.#open.delete(key)
    const [mayOpen, raw] = await Promise.all([this.#parts.mayOpen(key, row), this.rawFromDeviceSlot(key, row)])
    if (raw && mayOpen) return this.hold(key, raw, row.locks)
    if (raw) eraseBytes(raw.bytes)
    return mayOpen ? this.#fromOtherTab(key, row) : null
  }

  /** Only what this tab holds already. */
  rootFor({ user, id, locks }: WantedKey): CryptoKey | null {
    const held = this.#open.get(user)
    return held && held.locks === locks && held.dataKey.id === id ? held.dataKey.root : null
  }

  /** A new data key, which nothing is sealed with yet. */
  newKey(): RawDataKey {
    return newRawDataKey(this.#parts.randomBytes)
  }

  async rawFromDeviceSlot(key: UserKey, row: UserRow): Promise<RawDataKey | null> {
    if (!row.slots.device) return null
    try {
      return await unwrapDataKey(await this.#deviceSlotKey(key), row.slots.device, this.#parts.bind(key), 'device')
    } catch {
      return null // as good as no slot
    }
  }

  async deviceSlot(key: UserKey, raw: RawDataKey): Promise<Envelope> {
    return wrapDataKey(await this.#deviceSlotKey(key), raw, this.#parts.bind(key), 'device')
  }

  /** Takes `raw` into memory as keys that cannot be exported, and erases its bytes. */
  async hold(key: UserKey, raw: RawDataKey, locks: number): Promise<DataKey> {
    const dataKey = await openDataKey(raw)
    eraseBytes(raw.bytes)
    this.holdOpened(key, dataKey, locks)
    return dataKey
  }

  holdOpened(key: UserKey, dataKey: DataKey, locks: number): void {
    this.#open.set(key, { dataKey, locks })
  }

  prepare(key: UserKey, prepared: Prepared): void {
    this.#prepared.set(key, prepared)
  }

  preparedFor(key: UserKey): Prepared | undefined {
    return this.#prepared.get(key)
  }

  stored(key: UserKey): void {
    this.#prepared.delete(key)
  }

  /** Closes the user here, unless it was opened after the lock that `row` tells of. */
  closeIfLocked(key: UserKey, row: UserRow | null): void {
    if (!row || !this.#held(key, row)) this.#open.delete(key)
  }

  close(key: UserKey): void {
    this.#open.delete(key)
    this.#prepared.delete(key)
  }

  closeAll(): void {
    this.#open.clear()
    this.#prepared.clear()
  }

  inherit(other: Keyring): void {
    for (const [key, held] of other.#open) this.#open.set(key, held)
  }

  /** Another tab opened a user: it can be asked again. */
  othersOpened(): void {
    this.#askedInVain.clear()
  }

  #held(key: UserKey, row: UserRow): DataKey | null {
    const held = this.#open.get(key)
    if (!held || held.locks !== row.locks) return null
    return isDamaged(row.vault) || headerOf(row.vault).kid === held.dataKey.id ? held.dataKey : null
  }

  async #fromOtherTab(key: UserKey, row: UserRow): Promise<DataKey | null> {
    const id = isDamaged(row.vault) ? undefined : headerOf(row.vault).kid
    const question = `${key} ${id} ${row.locks}`
    if (!id || !this.#parts.askTabs || row.facts.status.kind === 'logged-out' || this.#askedInVain.has(question)) return null
    const root = await this.#parts.askTabs({ user: key, id, locks: row.locks })
    if (!root) {
      this.#askedInVain.add(question)
      return null
    }
    const dataKey = await dataKeyFromRoot(id, root)
    this.holdOpened(key, dataKey, row.locks)
    return dataKey
  }

  async #deviceSlotKey(key: UserKey): Promise<CryptoKey> {
    return slotKey(await this.#parts.keys.userFactor(key), 'device', new Uint8Array())
  }
}
