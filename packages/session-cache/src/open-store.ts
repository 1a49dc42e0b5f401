import {
  type DeviceRecord,
  type DeviceRecordDraft,
  type KeyProvider,
  type PlatformKey,
  type Revision,
  RevisionConflict,
  type StoreChange,
  type StoreContext,
  type TagPurpose,
  type UserKey,
  type UserRecord,
  type UserRecordDraft,
  type Vault,
  type VaultContents,
} from '@nightlatch/auth-core'
import type { Channel } from '@nightlatch/auth-core/world'
import type { RxStorage } from 'rxdb/plugins/core'
import { databaseName } from './database-name.ts'
import { type DeviceKeys, deviceKeys, emptyDevice, openDeviceRow, parseDeviceRow, sealDeviceRow } from './device-row.ts'
import { framed, isPlainObject, toBase64url } from './encoding.ts'
import type { Binding } from './envelope.ts'
import { Keyring } from './keyring.ts'
import { memoryKeyProvider } from './memory-key-provider.ts'
import { openRowStore, type Row, type RowStore } from './row-store.ts'
import type { Slots } from './slot.ts'
import { unavailable } from './store-failure.ts'
import { factsOf, isDamaged, parseUserRow, storedUserRow, type UserRow, withoutDeviceSlot } from './user-row.ts'
import { isNewer, openVault, sealVault } from './vault.ts'
import { dexieStorage } from './web/dexie-storage.ts'
import { webKeyProvider } from './web/web-key-provider.ts'

export interface RxdbSessionStoreOptions {
  /** Where the rows are kept. Default: Dexie with strict durability in browsers. Elsewhere there is no default. */
  readonly storage?: RxStorage<unknown, unknown>
  /** What holds the device's keys. Default: non-extractable keys in IndexedDB in browsers; elsewhere memory, which forgets. */
  readonly keys?: KeyProvider
  /**
   * `device`: a restart opens the signed-in users without a secret. What that gives up in a browser: SECURITY.md.
   * `unlock`: no key is stored that opens without a secret; users are locked after a restart.
   */
  readonly stay?: 'device' | 'unlock'
}

const DEVICE = 'device'

/** Opens rows and keys side by side, checks that they belong together, and finishes removals that a crash interrupted. */
export async function openStore(
  context: StoreContext,
  options: RxdbSessionStoreOptions,
  tell: (change: StoreChange) => void,
): Promise<OpenStore> {
  if (!globalThis.crypto?.subtle) throw unavailable('insecure-context')
  const inBrowser = typeof indexedDB !== 'undefined'
  const storage = options.storage ?? (inBrowser ? dexieStorage() : undefined)
  if (!storage) throw unavailable('unsupported-environment')
  const ownKeys = !options.keys && inBrowser ? webKeyProvider(context.appId) : undefined
  const keys = options.keys ?? ownKeys ?? memoryKeyProvider()
  const name = await databaseName(context)

  const [rows, platform] = await Promise.all([openRowStore(name, storage), deviceKeyOf(keys)])
  const close = async () => {
    await Promise.all([rows.close(), ownKeys?.close()])
  }
  try {
    const channel = context.world.channels.open(`nightlatch:${name}`)
    const store = new OpenStore({ rows, keys, ...platform, context, channel, close, stay: options.stay ?? 'device', tell })
    await store.begin()
    return store
  } catch (error) {
    await close()
    throw error
  }
}

interface Parts {
  readonly rows: RowStore
  readonly keys: KeyProvider
  readonly deviceKey: PlatformKey
  readonly device: DeviceKeys
  readonly context: StoreContext
  readonly channel: Channel
  readonly stay: 'device' | 'unlock'
  readonly tell: (change: StoreChange) => void
  readonly close: () => Promise<void>
}

/** A session store whose database and keys are open. */
export class OpenStore {
  readonly #parts: Parts
  readonly #keyring: Keyring
  readonly #stop: (() => void)[] = []

  constructor(parts: Parts) {
    this.#parts = parts
    this.#keyring = new Keyring(
      parts.keys,
      (key) => this.#bind(key),
      (length) => parts.context.world.random.bytes(length),
    )
  }

  async begin(): Promise<void> {
    const { rows, channel, tell, device, keys } = this.#parts
    const changes = rows.changedKeys$.subscribe((changed) => {
      for (const key of changed) tell(changeOf(key))
    })
    this.#stop.push(
      () => changes.unsubscribe(),
      channel.listen((message) => {
        if (isPlainObject(message) && typeof message.changed === 'string') tell(changeOf(message.changed))
      }),
      () => channel.close(),
    )
    const stored = await rows.read(DEVICE)
    const known = stored && parseDeviceRow(stored.content)
    if (known && known.keyCheck !== device.keyCheck) throw unavailable('evicted')
    for (const key of await rows.tombstones()) await keys.destroy(key as UserKey)
    await rows.purgeTombstones()
  }

  async read(key: UserKey): Promise<UserRecord | null> {
    const row = await this.#parts.rows.read(key)
    return row && this.#recordOf(row)
  }

  async list(): Promise<readonly UserRecord[]> {
    const rows = await this.#parts.rows.readAll()
    return Promise.all(rows.filter(({ key }) => key !== DEVICE).map((row) => this.#recordOf(row)))
  }

  async findByTag(tag: string): Promise<UserRecord | null> {
    const rows = await this.#parts.rows.readAll()
    const found = rows.find((row) => row.key !== DEVICE && parseUserRow(row.key as UserKey, row.content).facts.tags.includes(tag))
    return found ? this.#recordOf(found) : null
  }

  async tag(purpose: TagPurpose, value: string): Promise<string> {
    const { deviceKey, context } = this.#parts
    const normalised = purpose === 'login' ? value.normalize('NFKC').trim().toLowerCase() : value
    return toBase64url(await deviceKey.mac(framed('nightlatch/tag', purpose, context.issuer, normalised)))
  }

  async update(key: UserKey, expected: Revision | null, next: UserRecordDraft): Promise<UserRecord> {
    const current = await this.#parts.rows.read(key)
    if ((current?.revision ?? null) !== expected) throw new RevisionConflict('The record was changed by another writer. Read it again.')
    const before = current && parseUserRow(key, current.content)
    const row = await this.#rowOf(key, before, next)
    const written = await this.#parts.rows.write(key, current, storedUserRow(row))
    this.#tellOthers(key)
    return this.#recordOf(written)
  }

  /** The row is overwritten before anything else, so that a crash leaves either the user or a tombstone with nothing in it (C3). */
  async remove(key: UserKey, expected: Revision): Promise<void> {
    const { rows, keys } = this.#parts
    const current = await rows.read(key)
    if (current?.revision !== expected) throw new RevisionConflict('The record was changed by another writer. Read it again.')
    await rows.erase(current, {})
    this.#keyring.drop(key)
    this.#tellOthers(key)
    await keys.destroy(key)
    await rows.purgeTombstones()
  }

  async readDevice(): Promise<DeviceRecord> {
    const { rows, device } = this.#parts
    const stored = await rows.read(DEVICE)
    const row = stored && parseDeviceRow(stored.content)
    if (stored && row) return { ...(await openDeviceRow(row, device, this.#bind(DEVICE))), revision: stored.revision }
    try {
      return await this.#writeDevice(stored, emptyDevice)
    } catch (error) {
      if (error instanceof RevisionConflict) return this.readDevice() // another tab made it at the same moment
      throw error
    }
  }

  async updateDevice(expected: Revision, next: DeviceRecordDraft): Promise<DeviceRecord> {
    const stored = await this.#parts.rows.read(DEVICE)
    if (stored?.revision !== expected) throw new RevisionConflict('The device record was changed by another writer. Read it again.')
    return this.#writeDevice(stored, next)
  }

  async close(): Promise<void> {
    for (const stop of this.#stop) stop()
    this.#keyring.dropAll()
    await this.#parts.close()
  }

  async #writeDevice(previous: Row | null, next: DeviceRecordDraft): Promise<DeviceRecord> {
    const { rows, device } = this.#parts
    const binding = this.#bind(DEVICE)
    const row = await sealDeviceRow(next, device, binding)
    const written = await rows.write(DEVICE, previous, row)
    this.#tellOthers(DEVICE)
    return { ...(await openDeviceRow(row, device, binding)), revision: written.revision }
  }

  async #recordOf({ key, revision, content }: Row): Promise<UserRecord> {
    const row = parseUserRow(key as UserKey, content)
    return { ...row.facts, key: key as UserKey, revision, vault: await this.#vaultOf(key as UserKey, row) }
  }

  async #vaultOf(key: UserKey, row: UserRow): Promise<Vault> {
    if (isDamaged(row.vault)) return { kind: 'damaged' }
    if (isNewer(row.vault)) return { kind: 'newer' }
    const dataKey = await this.#keyring.keyFor(key, row)
    return dataKey ? openVault(dataKey, row.vault, this.#bind(key)) : { kind: 'sealed' }
  }

  /** What to store: facts as given; sealed parts only replaced when there are new contents. A log-out leaves nothing that opens without a secret. */
  async #rowOf(key: UserKey, before: UserRow | null, next: UserRecordDraft): Promise<UserRow> {
    const sealed = next.vault.kind === 'open' ? await this.#seal(key, before, next.vault.contents) : before
    if (!sealed) throw new TypeError('A new user needs contents to seal.')
    const row: UserRow = { ...sealed, facts: factsOf(next) }
    if (next.status.kind !== 'logged-out') return row
    const leaves = before?.facts.status.kind !== 'logged-out'
    return { ...withoutDeviceSlot(row), locks: row.locks + (leaves ? 1 : 0) }
  }

  async #seal(key: UserKey, before: UserRow | null, contents: VaultContents): Promise<Omit<UserRow, 'facts'>> {
    const known = before && (await this.#keyring.keyFor(key, before))
    if (before && known) return { ...before, vault: await sealVault(known, contents, this.#bind(key)) }
    return this.#sealUnderNewKey(key, before, contents)
  }

  /** For a new user, and for one whose old key nobody could open: what the old key sealed is set aside. */
  async #sealUnderNewKey(key: UserKey, before: UserRow | null, contents: VaultContents): Promise<Omit<UserRow, 'facts'>> {
    const locks = before?.locks ?? 0
    const raw = this.#keyring.newKey()
    const slots: Slots = this.#parts.stay === 'device' ? { device: await this.#keyring.deviceSlot(key, raw) } : {}
    const dataKey = await this.#keyring.hold(key, raw, locks)
    const quarantine = [...(before?.quarantine ?? []), ...leftBehind(before)]
    return {
      locks,
      slots,
      unreadSlots: {},
      vault: await sealVault(dataKey, contents, this.#bind(key)),
      ...(quarantine.length > 0 && { quarantine }),
    }
  }

  #bind(record: string): Omit<Binding, 'field'> {
    const { appId, issuer } = this.#parts.context
    return { appId, issuer, record }
  }

  #tellOthers(key: string): void {
    this.#parts.channel.post({ changed: key })
  }
}

/** What somebody might still open one day: with a secret, a later version, or a repair tool. A `device` slot that is gone is gone. */
function leftBehind(before: UserRow | null): readonly unknown[] {
  if (!before) return []
  const { facts: _, quarantine: __, ...sealed } = withoutDeviceSlot(before)
  const openable = Object.keys(sealed.slots).length > 0 || Object.keys(sealed.unreadSlots).length > 0
  return openable || isDamaged(before.vault) || isNewer(before.vault) ? [storedUserRow({ ...sealed, facts: before.facts })] : []
}

async function deviceKeyOf(keys: KeyProvider): Promise<{ readonly deviceKey: PlatformKey; readonly device: DeviceKeys }> {
  const deviceKey = await keys.deviceKey()
  return { deviceKey, device: await deviceKeys(deviceKey) }
}

function changeOf(key: string): StoreChange {
  return key === DEVICE ? { kind: 'device' } : { kind: 'user', key: key as UserKey }
}
