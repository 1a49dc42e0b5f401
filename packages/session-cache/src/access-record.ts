import type { PlatformKey, UserKey } from '@nightlatch/auth-core'
import type { Clock } from '@nightlatch/auth-core/world'
import {
  believedNowMs,
  type ClockMark,
  type ClockReading,
  markOnline,
  markSeen,
  type OfflineAccess,
  type OfflinePolicy,
  offlineAccess,
} from './age-policy.ts'
import { type Attempts, noAttempts } from './attempt-limit.ts'
import type { BindUser } from './keyring.ts'
import { type SignedNumbers, signNumbers, verifiedNumbers } from './signed-numbers.ts'
import type { UserRow } from './user-row.ts'

/** The counters in a user's row that decide whether it may be opened offline, signed with the device's key (C2, C4). */
export class AccessRecord {
  readonly #deviceKey: PlatformKey
  readonly #bind: BindUser
  readonly #policy: OfflinePolicy
  readonly #clock: Clock
  #started: ClockReading

  constructor(deviceKey: PlatformKey, bind: BindUser, policy: OfflinePolicy, clock: Clock) {
    this.#deviceKey = deviceKey
    this.#bind = bind
    this.#policy = policy
    this.#clock = clock
    this.#started = this.#reading()
  }

  get nowMs(): number {
    return this.#clock.nowMs()
  }

  async access(key: UserKey, row: UserRow): Promise<OfflineAccess> {
    return offlineAccess(await this.#mark(key, row), this.#policy, this.nowMs)
  }

  async attempts(key: UserKey, row: UserRow): Promise<Attempts | null> {
    const [failures, lastAtMs] = (await verifiedNumbers(this.#deviceKey, row.attempts, { ...this.#bind(key), field: 'attempts' })) ?? []
    return failures === undefined || lastAtMs === undefined ? null : { failures, lastAtMs }
  }

  signAttempts(key: UserKey, { failures, lastAtMs }: Attempts): Promise<SignedNumbers> {
    return signNumbers(this.#deviceKey, [failures, lastAtMs], { ...this.#bind(key), field: 'attempts' })
  }

  /** After the server granted something: its word replaces the clock mark, downwards too. */
  async online(key: UserKey): Promise<Pick<UserRow, 'clock'>> {
    this.#started = this.#reading()
    return { clock: await this.#signMark(key, markOnline(this.nowMs)) }
  }

  /** After the user was open here. */
  async seen(key: UserKey, row: UserRow): Promise<Pick<UserRow, 'clock'>> {
    const mark = await this.#mark(key, row)
    return mark ? { clock: await this.#signMark(key, markSeen(mark, believedNowMs(this.#started, this.#reading()))) } : {}
  }

  /** Whether the last time that is noted is older than `ms`. */
  async isSeenLongerAgoThan(ms: number, key: UserKey, row: UserRow): Promise<boolean> {
    const mark = await this.#mark(key, row)
    return mark !== null && believedNowMs(this.#started, this.#reading()) - mark.seenAtMs > ms
  }

  noFailures(key: UserKey): Promise<SignedNumbers> {
    return this.signAttempts(key, noAttempts)
  }

  async #mark(key: UserKey, row: UserRow): Promise<ClockMark | null> {
    const [onlineAtMs, seenAtMs] = (await verifiedNumbers(this.#deviceKey, row.clock, { ...this.#bind(key), field: 'clock' })) ?? []
    return onlineAtMs === undefined || seenAtMs === undefined ? null : { onlineAtMs, seenAtMs }
  }

  #signMark(key: UserKey, { onlineAtMs, seenAtMs }: ClockMark): Promise<SignedNumbers> {
    return signNumbers(this.#deviceKey, [onlineAtMs, seenAtMs], { ...this.#bind(key), field: 'clock' })
  }

  #reading(): ClockReading {
    return { wallMs: this.#clock.nowMs(), monotonicMs: this.#clock.monotonicMs() }
  }
}
