import type { LockReason, UserKey, VaultChange } from '@nightlatch/auth-core'
import type { Channel, Undo, World } from '@nightlatch/auth-core/world'
import type { AccessRecord } from './access-record.ts'
import type { OfflinePolicy } from './age-policy.ts'
import { isPlainObject } from './encoding.ts'
import type { Keyring } from './keyring.ts'
import type { UserRows } from './user-rows.ts'

/** Calls back at each sign that a person is there. */
export type WatchActivity = (active: () => void) => Undo

export interface OpenUserWatchParts {
  readonly world: World
  readonly keyring: Keyring
  readonly users: UserRows
  readonly access: AccessRecord
  readonly policy: OfflinePolicy
  readonly channel: Channel
  readonly watchActivity: WatchActivity
  readonly tell: (change: VaultChange) => void
}

const LOOK_EVERY_MS = 60_000
/** How exact the note of when a user was last open is. */
const NOTE_EVERY_MS = 3_600_000
/** How often other tabs are told of activity here. */
const SHARE_EVERY_MS = 30_000

/** While users are open: ends offline access that is over age, notes that they were seen, and tells when nobody has been there for too long. */
export class OpenUserWatch {
  readonly #parts: OpenUserWatchParts
  readonly #stop: Undo[] = []
  #stopTimer: Undo = () => {}
  #activeAtMs: number
  #sharedAtMs = Number.NEGATIVE_INFINITY

  constructor(parts: OpenUserWatchParts) {
    this.#parts = parts
    this.#activeAtMs = parts.world.clock.monotonicMs()
  }

  start(): void {
    const { policy, channel, watchActivity } = this.#parts
    this.#lookLater()
    if (policy.idleLockMs === null) return
    this.#stop.push(
      watchActivity(() => this.#active()),
      channel.listen((message) => {
        if (isPlainObject(message) && message.active === true) this.#activeAtMs = this.#parts.world.clock.monotonicMs()
      }),
    )
  }

  stop(): void {
    this.#stopTimer()
    for (const stop of this.#stop.splice(0)) stop()
  }

  #lookLater(): void {
    const { world, policy } = this.#parts
    const everyMs = Math.min(LOOK_EVERY_MS, policy.idleLockMs === null ? LOOK_EVERY_MS : policy.idleLockMs / 4)
    this.#stopTimer = world.timers.start(everyMs, () => void this.#look().finally(() => this.#lookLater()), { background: true })
  }

  async #look(): Promise<void> {
    const { world, keyring, policy } = this.#parts
    const idleMs = world.clock.monotonicMs() - this.#activeAtMs
    for (const key of keyring.openUsers) {
      if (policy.idleLockMs !== null && idleMs >= policy.idleLockMs) this.#parts.tell({ key, why: 'idle' })
      await this.#lookAt(key).catch(() => {}) // storage is away for now; the next look sees
    }
  }

  async #lookAt(key: UserKey): Promise<void> {
    const { users, access, keyring, tell } = this.#parts
    const row = await users.read(key)
    keyring.closeIfLocked(key, row)
    if (!row) return
    const offline = await access.access(key, row)
    if (offline.kind === 'refused') {
      keyring.close(key)
      tell({ key, why: offline.why satisfies LockReason })
    } else if (await access.isSeenLongerAgoThan(NOTE_EVERY_MS, key, row)) {
      await users.change(key, async (now) => ({ ...now, ...(await access.seen(key, now)) }))
    }
  }

  #active(): void {
    const { world, channel } = this.#parts
    this.#activeAtMs = world.clock.monotonicMs()
    if (this.#activeAtMs - this.#sharedAtMs < SHARE_EVERY_MS) return
    this.#sharedAtMs = this.#activeAtMs
    channel.post({ active: true })
  }
}
