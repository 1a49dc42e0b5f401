import { Subject } from 'rxjs'
import { AuthError } from './errors.ts'
import {
  type DeviceRecordDraft,
  RevisionConflict,
  type SessionStore,
  StoreUnavailable,
  type TagPurpose,
  type UserRecordDraft,
} from './ports.ts'
import { StoredCopies } from './stored-copies.ts'
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
  readonly #users: StoredCopies<UserKey, UserRecord>
  readonly #device: StoredCopies<'device', DeviceRecord>
  readonly #looks = new Map<UserKey, { readonly wallMs: number; readonly monotonicMs: number }>()

  constructor(store: SessionStore, world: World) {
    this.#store = store
    this.#world = world
    this.#users = new StoredCopies(
      (key) => this.#bounded(store.read(key)),
      (key, isNew) => {
        this.#looks.set(key, { wallMs: world.clock.nowMs(), monotonicMs: world.clock.monotonicMs() })
        if (isNew) this.changed$.next()
      },
    )
    this.#device = new StoredCopies(
      () => this.#bounded(store.device.read()),
      (_, isNew) => {
        if (isNew) this.changed$.next()
      },
    )
  }

  get device(): DeviceRecord | undefined {
    return this.#device.all.get('device')
  }

  get records(): ReadonlyMap<UserKey, UserRecord> {
    return this.#users.all
  }

  async load(): Promise<void> {
    await Promise.all([
      this.#device.look('device'),
      this.#users.lookAtAll(
        ({ key }) => key,
        () => this.#bounded(this.#store.list()),
      ),
    ])
  }

  /** The user's record, read from storage if this tab has not looked for a second. */
  async current(key: UserKey): Promise<UserRecord | null> {
    const look = this.#looks.get(key)
    const { clock } = this.#world
    const fresh =
      look !== undefined &&
      Math.abs(clock.nowMs() - look.wallMs) < TRUST_COPY_MS &&
      Math.abs(clock.monotonicMs() - look.monotonicMs) < TRUST_COPY_MS
    return fresh ? (this.records.get(key) ?? null) : this.reread(key)
  }

  reread(key: UserKey): Promise<UserRecord | null> {
    return this.#users.look(key)
  }

  async rereadDevice(): Promise<DeviceRecord> {
    const device = await this.#device.look('device')
    if (!device) throw new StoreUnavailable('storage-damaged', 'The device record is gone.')
    return device
  }

  async findByTag(tag: string): Promise<UserRecord | null> {
    return this.#bounded(this.#store.findByTag(tag))
  }

  async tag(purpose: TagPurpose, value: string): Promise<string> {
    return this.#bounded(this.#store.tag(purpose, value))
  }

  async createUser(draft: UserRecordDraft): Promise<UserRecord> {
    return this.#users.write(draft.key, async () => {
      const stored = await this.#bounded(this.#store.update(draft.key, null, draft))
      return { stored, result: stored }
    })
  }

  /** @returns the stored record, or `null` when the user is gone or `change` found nothing to do */
  async updateUser(key: UserKey, change: (record: UserRecord) => UserRecordDraft | null): Promise<UserRecord | null> {
    return this.#untilWon(() =>
      this.#users.write(key, async () => {
        const record = await this.#bounded(this.#store.read(key))
        const next = record && change(record)
        if (!record || !next) return { stored: record, result: null }
        const stored = await this.#bounded(this.#store.update(key, record.revision, next))
        return { stored, result: stored }
      }),
    )
  }

  /** Removes the user's record if it is there and `agree` still does. */
  async removeUser(key: UserKey, agree: (record: UserRecord) => boolean): Promise<void> {
    await this.#untilWon(() =>
      this.#users.write(key, async () => {
        const record = await this.#bounded(this.#store.read(key))
        if (record && !agree(record)) return { stored: record, result: undefined }
        if (record) await this.#bounded(this.#store.remove(key, record.revision))
        return { stored: null, result: undefined }
      }),
    )
  }

  async updateDevice(change: (device: DeviceRecord) => DeviceRecordDraft | null): Promise<DeviceRecord> {
    return this.#untilWon(() =>
      this.#device.write('device', async () => {
        const device = await this.#bounded(this.#store.device.read())
        const next = change(device)
        const stored = next ? await this.#bounded(this.#store.device.update(device.revision, next)) : device
        return { stored, result: stored }
      }),
    )
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
}
