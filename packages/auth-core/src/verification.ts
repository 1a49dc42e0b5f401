import type { AppContext } from './app-context.ts'
import type { Credentials } from './credentials.ts'
import { AuthError } from './errors.ts'
import { requestGrant } from './log-in.ts'
import type { OverReason } from './outcome.ts'
import type { Grant } from './ports.ts'
import { retryDelayMs } from './retry-delay.ts'
import type { UserKey, UserRecord } from './user-record.ts'
import type { Undo } from './world/index.ts'

/** How long credentials that the server has not seen are kept in memory. */
const KEEP_MS = 15 * 60_000

/** Somebody who got in without the server. The credentials live in this closure and nowhere else. */
interface Unverified {
  readonly key: UserKey
  readonly epoch: number
  readonly credentials: Credentials
  readonly untilMs: number
}

/**
 * Asks the server about a person who logged in offline, as soon as it answers: its first authoritative word is the last question.
 * Without one for 15 minutes the credentials are forgotten and the session counts as over, `unverified`; the data stays open.
 */
export class Verification {
  readonly #context: AppContext
  readonly #accept: (grant: Grant, credentials: Credentials) => Promise<unknown>
  readonly #giveBack: (grant: Grant) => Promise<void>
  #unverified: Unverified | undefined
  #failures = 0
  #isAsking = false
  #stopTimers: Undo[] = []
  readonly #stopWatching: Undo

  constructor(
    context: AppContext,
    accept: (grant: Grant, credentials: Credentials) => Promise<unknown>,
    giveBack: (grant: Grant) => Promise<void>,
  ) {
    this.#context = context
    this.#accept = accept
    this.#giveBack = giveBack
    this.#stopWatching = context.world.connectivity.watch((online) => {
      if (online) void this.#ask()
    })
  }

  /** @param asked the request that was on its way when the person got in */
  begin({ key, epoch }: UserRecord, credentials: Credentials, asked: Promise<Grant>): void {
    const { clock, timers } = this.#context.world
    this.#forget()
    const unverified = { key, epoch, credentials, untilMs: clock.monotonicMs() + KEEP_MS }
    this.#unverified = unverified
    this.#stopTimers.push(timers.start(KEEP_MS, () => void this.#end(unverified, 'unverified'), { background: true }))
    void this.#hear(unverified, asked)
  }

  stop(): void {
    this.#forget()
    this.#stopWatching()
  }

  async #ask(): Promise<void> {
    const unverified = this.#unverified
    if (!unverified || this.#isAsking) return
    await this.#hear(unverified, requestGrant(this.#context, unverified.credentials, undefined))
  }

  async #hear(unverified: Unverified, asked: Promise<Grant>): Promise<void> {
    this.#isAsking = true
    try {
      const grant = await asked
      if (await this.#isStanding(unverified)) await this.#accept(grant, unverified.credentials)
      else await this.#giveBack(grant)
      if (this.#unverified === unverified) this.#forget()
    } catch (error) {
      if (this.#unverified !== unverified) return
      if (isAnswer(error)) await this.#end(unverified, 'credential-changed')
      else this.#askLater()
    } finally {
      this.#isAsking = false
    }
  }

  #askLater(): void {
    const { timers, random } = this.#context.world
    this.#failures += 1
    this.#stopTimers.push(timers.start(retryDelayMs(this.#failures, random), () => void this.#ask(), { background: true }))
  }

  /** Whether it is still this log-in that waits: not one that was left, or verified in another way. */
  async #isStanding({ key, epoch }: Unverified): Promise<boolean> {
    const record = await this.#context.directory.reread(key)
    return record?.epoch === epoch && record.status.kind === 'unverified'
  }

  async #end(unverified: Unverified, reason: OverReason): Promise<void> {
    if (this.#unverified === unverified) this.#forget()
    await this.#context.directory
      .updateUser(unverified.key, (record) =>
        record.epoch === unverified.epoch && record.status.kind === 'unverified' ? { ...record, status: { kind: 'over', reason } } : null,
      )
      .catch(() => {}) // storage trouble: the next start finds the tab gone and ends it
  }

  #forget(): void {
    this.#unverified = undefined
    this.#failures = 0
    for (const stop of this.#stopTimers.splice(0)) stop()
  }
}

/** Whether the server has spoken, as opposed to not having been reached. */
function isAnswer(error: unknown): boolean {
  return error instanceof AuthError && error.code !== 'offline' && error.code !== 'server-busy' && error.code !== 'misconfigured'
}
