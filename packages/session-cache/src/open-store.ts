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
  type VaultChange,
} from '@nightlatch/auth-core'
import type { Channel } from '@nightlatch/auth-core/world'
import type { RxStorage } from 'rxdb/plugins/core'
import { Subject } from 'rxjs'
import { AccessRecord } from './access-record.ts'
import { type OfflinePolicy, offlinePolicies } from './age-policy.ts'
import { databaseName } from './database-name.ts'
import { type DeviceKeys, deviceKeys, emptyDevice, openDeviceRow, parseDeviceRow, sealDeviceRow } from './device-row.ts'
import { SlotVault } from './device-vault.ts'
import { framed, isPlainObject, toBase64url } from './encoding.ts'
import type { Binding } from './envelope.ts'
import { checkedSettings, type DeriveKey, defaultKdf, type KdfSettings } from './key-derivation.ts'
import { KeyHandover } from './key-handover.ts'
import { Keyring } from './keyring.ts'
import { memoryKeyProvider } from './memory-key-provider.ts'
import { OpenUserWatch, type WatchActivity } from './open-user-watch.ts'
import { Quarantine } from './quarantine.ts'
import { openRowStore, type Row, type RowStore } from './row-store.ts'
import { SealedRecords } from './sealed-records.ts'
import { SecretSlots } from './secret-slots.ts'
import { unavailable } from './store-failure.ts'
import { parseUserRow, storedUserRow } from './user-row.ts'
import { UserRows } from './user-rows.ts'
import { canDeriveHere, deriveInWorker } from './web/derive-in-worker.ts'
import { dexieStorage, withStrictDurability } from './web/dexie-storage.ts'
import { watchPageActivity } from './web/watch-activity.ts'
import { webKeyProvider } from './web/web-key-provider.ts'

export interface RxdbSessionStoreOptions {
  /** Where the rows are kept. Default: Dexie with strict durability in browsers. Elsewhere there is no default. */
  readonly storage?: RxStorage<unknown, unknown>
  /** What holds the device's keys. Default: non-extractable keys in IndexedDB in browsers; elsewhere memory, which forgets. */
  readonly keys?: KeyProvider
  /**
   * `device`: a restart opens the signed-in users without a secret. What that gives up in a browser: SECURITY.md.
   * `unlock`: no key is stored that opens without a secret; a restart leaves users locked, a new tab gets the key from a live one.
   */
  readonly stay?: 'device' | 'unlock'
  /** How long users can be opened without the server, and what wrong secrets cost. Default `standard`. */
  readonly policy?: keyof typeof offlinePolicies | OfflinePolicy
  /** What trying a secret costs. Default: Argon2id with 64 MiB and 3 passes. */
  readonly kdf?: KdfSettings
  /** Computes a key derivation. Default: Argon2id by WebAssembly in a worker; shells with a native one are faster. */
  readonly deriveKey?: DeriveKey
  /** Keep labels (sealed for the device) that a chooser of accounts can show while users are locked. Default false. */
  readonly labels?: boolean
  /** What to do when keys or rows are gone: refuse to open, or start again beside what is left (nothing of it is removed). */
  readonly whenEvicted?: 'unavailable' | 'start-over'
  /** Signs that a person is there, for the idle lock. Default: trusted key, pointer and touch events of the page. */
  readonly watchActivity?: WatchActivity
}

const DEVICE = 'device'

/** What can wait lets the app restore its user first. */
const AFTER_START_MS = 250

/** Opens rows and keys side by side, checks that they belong together, and finishes removals that a crash interrupted. */
export async function openStore(
  context: StoreContext,
  options: RxdbSessionStoreOptions,
  tell: (change: StoreChange) => void,
  inherited?: OpenStore,
): Promise<OpenStore> {
  if (!globalThis.crypto?.subtle) throw unavailable('insecure-context')
  if ('ServiceWorkerGlobalScope' in globalThis) throw unavailable('unsupported-environment')
  const inBrowser = typeof indexedDB !== 'undefined'
  const storage = options.storage ? withStrictDurability(options.storage) : inBrowser ? dexieStorage() : undefined
  if (!storage) throw unavailable('unsupported-environment')
  const ownKeys = !options.keys && inBrowser ? webKeyProvider(context.appId) : undefined
  const keys = options.keys ?? ownKeys ?? memoryKeyProvider()
  const name = await databaseName(context)

  const [rows, { deviceKey, device }] = await Promise.all([openRowStore(name, storage), deviceKeysOf(keys)])
  const close = async () => {
    await Promise.all([rows.close(), ownKeys?.close()])
  }
  try {
    const persists = !storage.name.includes('memory')
    const store = new OpenStore({ name, rows, persists, keys, deviceKey, device, context, options, tell, close, inherited })
    await store.begin()
    return store
  } catch (error) {
    await close()
    throw error
  }
}

async function deviceKeysOf(keys: KeyProvider): Promise<{ readonly deviceKey: PlatformKey; readonly device: DeviceKeys }> {
  const deviceKey = await keys.deviceKey()
  return { deviceKey, device: await deviceKeys(deviceKey) }
}

interface Parts {
  readonly name: string
  readonly rows: RowStore
  readonly keys: KeyProvider
  readonly deviceKey: PlatformKey
  readonly device: DeviceKeys
  readonly context: StoreContext
  readonly options: RxdbSessionStoreOptions
  readonly tell: (change: StoreChange) => void
  readonly close: () => Promise<void>
  /** Whether rows can be missed: memory forgets them by design. */
  readonly persists: boolean
  /** Of the same tab, before its database connection was lost. */
  readonly inherited: OpenStore | undefined
}

/** A session store and its vault whose database and keys are open. */
export class OpenStore {
  readonly vault: SlotVault
  readonly #parts: Parts
  readonly #channel: Channel
  readonly #keyring: Keyring
  readonly #access: AccessRecord
  readonly #records: SealedRecords
  readonly #handover: KeyHandover
  readonly #watch: OpenUserWatch
  readonly #stop: (() => void)[] = []
  #removals: Promise<void> = Promise.resolve()

  constructor(parts: Parts) {
    const { context, options, keys, deviceKey, rows } = parts
    const { world } = context
    const policy = typeof options.policy === 'object' ? options.policy : offlinePolicies[options.policy ?? 'standard']
    const stay = options.stay ?? (options.policy === 'strict' ? 'unlock' : 'device')
    const bind = (key: string) => this.#bind(key)
    const randomBytes = (length: number) => world.random.bytes(length)
    const vaultChanges$ = new Subject<VaultChange>()
    const users = new UserRows(rows, (key) => this.#tellOthers(key))

    this.#parts = parts
    this.#channel = world.channels.open(`nightlatch:${parts.name}`)
    this.#access = new AccessRecord(deviceKey, bind, policy, world.clock)
    this.#handover = new KeyHandover(world.channels.open(`nightlatch-keys:${parts.name}`), world, (wanted) =>
      stay === 'unlock' ? this.#keyring.rootFor(wanted) : null,
    )
    this.#keyring = new Keyring({
      keys,
      bind,
      randomBytes,
      mayOpen: async (key, row) => (await this.#access.access(key, row)).kind === 'allowed',
      ...(stay === 'unlock' && { askTabs: (wanted) => this.#handover.ask(wanted) }),
    })
    if (parts.inherited) this.#keyring.inherit(parts.inherited.#keyring)
    this.#records = new SealedRecords({
      keyring: this.#keyring,
      access: this.#access,
      device: parts.device,
      bind,
      stay,
      keepsLabels: options.labels === true && options.policy !== 'strict',
    })
    this.#watch = new OpenUserWatch({
      world,
      keyring: this.#keyring,
      users,
      access: this.#access,
      policy,
      channel: this.#channel,
      watchActivity: options.watchActivity ?? watchPageActivity,
      tell: (change) => {
        vaultChanges$.next(change)
        parts.tell({ kind: 'user', key: change.key })
      },
    })
    const kdf = checkedSettings(options.kdf ?? defaultKdf)
    const secrets = new SecretSlots({ keys, bind, randomBytes, derive: options.deriveKey ?? deriveInWorker, kdf, canDerive: canDeriveHere })
    this.vault = new SlotVault({
      users,
      keyring: this.#keyring,
      access: this.#access,
      secrets,
      quarantine: new Quarantine(this.#keyring, secrets, bind),
      keys,
      policy,
      stay,
      loginTag: (login) => this.tag('login', login),
      changes$: vaultChanges$.asObservable(),
    })
  }

  async begin(): Promise<void> {
    const { rows, tell } = this.#parts
    const changes = rows.changedKeys$.subscribe((changed) => {
      for (const key of changed) tell(changeOf(key))
    })
    this.#stop.push(
      () => changes.unsubscribe(),
      this.#channel.listen((message) => {
        if (isPlainObject(message) && typeof message.changed === 'string') this.#changedElsewhere(message.changed)
      }),
      () => this.#channel.close(),
      () => this.#handover.close(),
      () => this.#watch.stop(),
    )
    try {
      await this.#checkNothingIsMissing()
      const finishRemovals = () => {
        this.#removals = this.#finishRemovals()
      }
      this.#stop.push(this.#parts.context.world.timers.start(AFTER_START_MS, finishRemovals, { background: true }))
      this.#watch.start()
    } catch (error) {
      for (const stop of this.#stop) stop()
      throw error
    }
  }

  async read(key: UserKey): Promise<UserRecord | null> {
    const row = await this.#parts.rows.read(key)
    return row && this.#records.record(row)
  }

  async list(): Promise<readonly UserRecord[]> {
    const rows = await this.#parts.rows.readAll()
    return Promise.all(rows.filter(({ key }) => key !== DEVICE).map((row) => this.#records.record(row)))
  }

  async findByTag(tag: string): Promise<UserRecord | null> {
    const rows = await this.#parts.rows.readAll()
    const found = rows.find((row) => row.key !== DEVICE && parseUserRow(row.key as UserKey, row.content).facts.tags.includes(tag))
    return found ? this.#records.record(found) : null
  }

  async tag(purpose: TagPurpose, value: string): Promise<string> {
    const { deviceKey, context } = this.#parts
    const normalised = purpose === 'login' ? value.normalize('NFKC').trim().toLowerCase() : value
    return toBase64url(await deviceKey.mac(framed('nightlatch/tag', purpose, context.issuer, normalised)))
  }

  async update(key: UserKey, expected: Revision | null, next: UserRecordDraft): Promise<UserRecord> {
    const current = await this.#parts.rows.read(key)
    if ((current?.revision ?? null) !== expected) throw conflict('record')
    const before = current && parseUserRow(key, current.content)
    const prepared = next.status.kind === 'signed-in' ? this.#keyring.preparedFor(key) : undefined
    const row = await this.#records.row(key, before, next)
    const written = await this.#parts.rows.write(key, current, storedUserRow(row))
    if (prepared && next.vault.kind === 'open') {
      this.#keyring.holdOpened(key, prepared.dataKey, row.locks)
      this.#keyring.stored(key)
    }
    this.#tellOthers(key)
    return this.#records.record(written)
  }

  /** The row is overwritten before anything else, so that a crash leaves either the user or a tombstone with nothing in it (C3). */
  async remove(key: UserKey, expected: Revision): Promise<void> {
    const { rows, keys } = this.#parts
    const current = await rows.read(key)
    if (current?.revision !== expected) throw conflict('record')
    await rows.erase(current, {})
    this.#keyring.close(key)
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
      return await this.#writeDevice(stored, stored ? await this.#deviceAfterDamage() : emptyDevice)
    } catch (error) {
      if (error instanceof RevisionConflict) return this.readDevice() // another tab made it at the same moment
      throw error
    }
  }

  async updateDevice(expected: Revision, next: DeviceRecordDraft): Promise<DeviceRecord> {
    const stored = await this.#parts.rows.read(DEVICE)
    if (stored?.revision !== expected) throw conflict('device record')
    return this.#writeDevice(stored, next)
  }

  async close(): Promise<void> {
    this.#keyring.closeAll()
    await this.leave()
  }

  /** Lets go of the database but not of the open keys: for a successor in the same tab. */
  async leave(): Promise<void> {
    for (const stop of this.#stop) stop()
    await this.#removals
    await this.#parts.close()
  }

  /** A tombstone says that a removal may have died before the user's factor was destroyed. Nobody waits for this at a start. */
  async #finishRemovals(): Promise<void> {
    const { rows, keys } = this.#parts
    try {
      const unfinished = await rows.tombstones()
      for (const key of unfinished) await keys.destroy(key as UserKey)
      if (unfinished.length > 0) await rows.purgeTombstones()
    } catch {
      // The next start tries again.
    }
  }

  /** The keys and the rows remember each other; the browser may have evicted one of them. */
  async #checkNothingIsMissing(): Promise<void> {
    const { rows, keys, device, name, options } = this.#parts
    const [stored, isMarked] = await Promise.all([rows.read(DEVICE), keys.isMarked?.(name)])
    const row = stored && parseDeviceRow(stored.content)
    const keysAreGone = row !== null && row.keyCheck !== device.keyCheck
    const rowsAreGone = stored === null && isMarked === true
    if ((keysAreGone || rowsAreGone) && options.whenEvicted !== 'start-over') throw unavailable('evicted')
    if (row && keysAreGone) await this.#writeDevice(stored, { ...emptyDevice, ...row.facts, currentUser: null })
    else if (!row) await this.readDevice()
    if (!isMarked && this.#parts.persists) await keys.mark?.(name)
  }

  /** Epochs never go back, whatever else was lost with the device's row. */
  async #deviceAfterDamage(): Promise<DeviceRecordDraft> {
    const users = await this.#parts.rows.readAll()
    const epochs = users.filter(({ key }) => key !== DEVICE).map(({ key, content }) => parseUserRow(key as UserKey, content).facts.epoch)
    const epoch = Math.max(0, ...epochs)
    return { ...emptyDevice, epoch, switchEpoch: epoch }
  }

  async #writeDevice(previous: Row | null, next: DeviceRecordDraft): Promise<DeviceRecord> {
    const { rows, device } = this.#parts
    const binding = this.#bind(DEVICE)
    const row = await sealDeviceRow(next, device, binding)
    const written = await rows.write(DEVICE, previous, row)
    this.#tellOthers(DEVICE)
    return { ...(await openDeviceRow(row, device, binding)), revision: written.revision }
  }

  #changedElsewhere(name: string): void {
    this.#keyring.othersOpened()
    if (name !== DEVICE) void this.#closeIfLockedElsewhere(name as UserKey)
    this.#parts.tell(changeOf(name))
  }

  /** Another tab may have locked the user: this one lets go of the key at once, not at its next read. */
  async #closeIfLockedElsewhere(key: UserKey): Promise<void> {
    try {
      const stored = await this.#parts.rows.read(key)
      this.#keyring.closeIfLocked(key, stored && parseUserRow(key, stored.content))
    } catch {
      // Storage is away; no read will use the key either.
    }
  }

  #bind(record: string): Omit<Binding, 'field'> {
    const { appId, issuer } = this.#parts.context
    return { appId, issuer, record }
  }

  #tellOthers(key: string): void {
    this.#channel.post({ changed: key })
  }
}

function changeOf(key: string): StoreChange {
  return key === DEVICE ? { kind: 'device' } : { kind: 'user', key: key as UserKey }
}

function conflict(what: string): RevisionConflict {
  return new RevisionConflict(`The ${what} was changed by another writer. Read it again.`)
}
