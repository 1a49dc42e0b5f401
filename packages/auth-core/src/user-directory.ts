import { Subject } from 'rxjs'
import { AuthError } from './errors.ts'
import { type DeviceRecordDraft, RevisionConflict, type SessionStore, StoreUnavailable, type UserRecordDraft } from './ports.ts'
import { SingleFlight } from './single-flight.ts'
import type { DeviceRecord, UserKey, UserRecord } from './user-record.ts'
import type { World } from './world/index.ts'

/** Without a look at storage for this long another tab may have logged the user out: look before the next token leaves (S16). */
const TRUST_COPY_MS = 1_000

/** Lost races in a row after which a write gives up. */
const MAX_LOST_RACES = 20

/** No storage call may hold an app up for longer (S14). */
const STORAGE_TIMEOUT_MS = 5_000

/**
 * This tab's copy of what is stored, and the only way to change it. Every write is made from the newest stored record and repeated when
 * another writer was first, so `change` decides on facts: returning `null` means that there is nothing left to do.
 */
export class UserDirectory {
  /** Something in the copy is different now. */
  readonly changed$ = new Subject<void>()
  readonly #store: SessionStore
  readonly #world: World
  readonly #records = new Map<UserKey, UserRecord>()
  readonly #looks = new Map<UserKey, { readonly wallMs: number; readonly monotonicMs: number }>()
  readonly #reads = new SingleFlight<UserKey, UserRecord | null>()
  /** Counts this tab's writes of a user, so that a read begun before a write does not overwrite what it wrote. */
  readonly #writes = new Map<UserKey, number>()
  #device: DeviceRecord | undefined

  constructor(store: SessionStore, world: World) {
    this.#store = store
    this.#world = world
  }

  get device(): DeviceRecord | undefined {
    return this.#device
  }

  get records(): ReadonlyMap<UserKey, UserRecord> {
    return this.#records
  }

  async load(): Promise<void> {
    const [device, records] = await this.#bounded(Promise.all([this.#store.device.read(), this.#store.list()]))
    this.#device = device
    this.#records.clear()
    for (const record of records) {
      this.#records.set(record.key, record)
      this.#noteLook(record.key)
    }
  }

  /** The user's record, read from storage if this tab has not looked for a second. */
  async current(key: UserKey): Promise<UserRecord | null> {
    const look = this.#looks.get(key)
    const { clock } = this.#world
    const fresh =
      look !== undefined &&
      Math.abs(clock.nowMs() - look.wallMs) < TRUST_COPY_MS &&
      Math.abs(clock.monotonicMs() - look.monotonicMs) < TRUST_COPY_MS
    return fresh ? (this.#records.get(key) ?? null) : this.reread(key)
  }

  reread(key: UserKey): Promise<UserRecord | null> {
    return this.#reads.run(key, async () => {
      const writesBefore = this.#writes.get(key)
      const record = await this.#bounded(this.#store.read(key))
      if (this.#writes.get(key) !== writesBefore) return this.#records.get(key) ?? null
      this.#put(key, record)
      return record
    })
  }

  async rereadDevice(): Promise<DeviceRecord> {
    const device = await this.#bounded(this.#store.device.read())
    this.#putDevice(device)
    return device
  }

  /** Looks at everything again: for a store whose change may concern users this tab does not know. */
  async reload(): Promise<void> {
    await this.load()
    this.changed$.next()
  }

  async findByTag(tag: string): Promise<UserRecord | null> {
    return this.#bounded(this.#store.findByTag(tag))
  }

  async createUser(draft: UserRecordDraft): Promise<UserRecord> {
    const record = await this.#bounded(this.#store.update(draft.key, null, draft))
    this.#wrote(draft.key, record)
    return record
  }

  /** @returns the stored record, or `null` when the user is gone or `change` found nothing to do */
  async updateUser(key: UserKey, change: (record: UserRecord) => UserRecordDraft | null): Promise<UserRecord | null> {
    return this.#untilWon(async () => {
      const record = await this.#bounded(this.#store.read(key))
      const next = record && change(record)
      if (!record || !next) {
        this.#put(key, record)
        return null
      }
      const stored = await this.#bounded(this.#store.update(key, record.revision, next))
      this.#wrote(key, stored)
      return stored
    })
  }

  /** Removes the user's record if it is there and `agree` still does. */
  async removeUser(key: UserKey, agree: (record: UserRecord) => boolean): Promise<void> {
    await this.#untilWon(async () => {
      const record = await this.#bounded(this.#store.read(key))
      if (record && !agree(record)) return this.#put(key, record)
      if (record) await this.#bounded(this.#store.remove(key, record.revision))
      this.#wrote(key, null)
    })
  }

  async updateDevice(change: (device: DeviceRecord) => DeviceRecordDraft | null): Promise<DeviceRecord> {
    return this.#untilWon(async () => {
      const device = await this.#bounded(this.#store.device.read())
      const next = change(device)
      const stored = next ? await this.#bounded(this.#store.device.update(device.revision, next)) : device
      this.#putDevice(stored)
      return stored
    })
  }

  async #untilWon<T>(attempt: () => Promise<T>): Promise<T> {
    for (let lost = 0; lost < MAX_LOST_RACES; lost += 1) {
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof RevisionConflict)) throw error
      }
    }
    throw new AuthError('conflict', 'Other tabs kept changing the same record. Nothing was written; try again.')
  }

  async #bounded<T>(work: Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const stop = this.#world.timers.start(STORAGE_TIMEOUT_MS, () =>
      reject(
        new AuthError('storage-unavailable', 'Storage gave no answer for 5 seconds. Nothing is lost; reload the page.', {
          reason: 'no-answer',
        }),
      ),
    )
    try {
      return await Promise.race([work, late])
    } catch (error) {
      if (error instanceof StoreUnavailable) {
        throw new AuthError('storage-unavailable', error.message, { cause: error, reason: error.reason })
      }
      throw error
    } finally {
      stop()
    }
  }

  #wrote(key: UserKey, record: UserRecord | null): void {
    this.#writes.set(key, (this.#writes.get(key) ?? 0) + 1)
    this.#put(key, record)
  }

  #put(key: UserKey, record: UserRecord | null): void {
    this.#noteLook(key)
    if (this.#records.get(key)?.revision === record?.revision) return
    if (record) this.#records.set(key, record)
    else this.#records.delete(key)
    this.changed$.next()
  }

  #putDevice(device: DeviceRecord): void {
    if (this.#device?.revision === device.revision) return
    this.#device = device
    this.changed$.next()
  }

  #noteLook(key: UserKey): void {
    const { clock } = this.#world
    this.#looks.set(key, { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() })
  }
}
