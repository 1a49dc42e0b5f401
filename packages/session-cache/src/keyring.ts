import type { KeyProvider, UserKey } from '@nightlatch/auth-core'
import { type DataKey, eraseBytes, newRawDataKey, openDataKey, type RawDataKey } from './data-key.ts'
import type { Bytes } from './encoding.ts'
import { type Binding, type Envelope, headerOf } from './envelope.ts'
import { slotKey, unwrapDataKey, wrapDataKey } from './slot.ts'
import { isDamaged, type UserRow } from './user-row.ts'

/** Binds an envelope of a user's record. */
export type BindUser = (key: UserKey) => Omit<Binding, 'field'>

/** The data keys that are open in this tab, and the `device` slots that open them without a secret. */
export class Keyring {
  readonly #keys: KeyProvider
  readonly #bind: BindUser
  readonly #randomBytes: (length: number) => Bytes
  readonly #open = new Map<UserKey, { readonly dataKey: DataKey; readonly locks: number }>()

  constructor(keys: KeyProvider, bind: BindUser, randomBytes: (length: number) => Bytes) {
    this.#keys = keys
    this.#bind = bind
    this.#randomBytes = randomBytes
  }

  /** The key that `row` was sealed with, if it is open here or the row has a `device` slot for it. A log-out or lock since closes it. */
  async keyFor(key: UserKey, row: UserRow): Promise<DataKey | null> {
    const held = this.#open.get(key)
    if (held && held.locks === row.locks && (isDamaged(row.vault) || headerOf(row.vault).kid === held.dataKey.id)) return held.dataKey
    this.#open.delete(key)
    const raw = await this.#unwrapDeviceSlot(key, row.slots.device)
    return raw && this.hold(key, raw, row.locks)
  }

  /** A new data key, which nothing is sealed with yet. */
  newKey(): RawDataKey {
    return newRawDataKey(this.#randomBytes)
  }

  async deviceSlot(key: UserKey, raw: RawDataKey): Promise<Envelope> {
    return wrapDataKey(await this.#deviceSlotKey(key), raw, this.#bind(key), 'device')
  }

  /** Takes `raw` into memory as keys that cannot be exported, and erases its bytes. */
  async hold(key: UserKey, raw: RawDataKey, locks: number): Promise<DataKey> {
    const dataKey = await openDataKey(raw)
    eraseBytes(raw.bytes)
    this.#open.set(key, { dataKey, locks })
    return dataKey
  }

  drop(key: UserKey): void {
    this.#open.delete(key)
  }

  dropAll(): void {
    this.#open.clear()
  }

  async #unwrapDeviceSlot(key: UserKey, slot: Envelope | undefined): Promise<RawDataKey | null> {
    if (!slot) return null
    try {
      return await unwrapDataKey(await this.#deviceSlotKey(key), slot, this.#bind(key), 'device')
    } catch {
      return null // as good as no slot
    }
  }

  async #deviceSlotKey(key: UserKey): Promise<CryptoKey> {
    return slotKey(await this.#keys.userFactor(key), 'device', new Uint8Array())
  }
}
