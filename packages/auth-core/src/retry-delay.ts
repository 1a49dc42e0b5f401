import type { Clock, Random } from './world/index.ts'

const FIRST_MS = 1_000
const LONGEST_MS = 5 * 60_000

/** Full jitter over a doubling ceiling; what the server asked for is waited for in full. */
export function retryDelayMs(failures: number, random: Random, retryAfterMs = 0): number {
  const ceilingMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 20))
  return Math.max(retryAfterMs, random.fraction() * ceilingMs)
}

/** Remembers that something failed lately, so that it is not tried again at once. */
export class RetryMemory<Key> {
  readonly #clock: Clock
  readonly #random: Random
  readonly #failed = new Map<Key, { readonly failures: number; readonly untilMs: number; readonly error: Error }>()

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  /** @returns milliseconds to wait before the next try */
  failed(key: Key, error: Error, retryAfterMs?: number): number {
    const failures = (this.#failed.get(key)?.failures ?? 0) + 1
    const delayMs = retryDelayMs(failures, this.#random, retryAfterMs)
    this.#failed.set(key, { failures, untilMs: this.#clock.monotonicMs() + delayMs, error })
    return delayMs
  }

  /** The failure that still stands in the way of a new try. */
  standing(key: Key): Error | undefined {
    const failed = this.#failed.get(key)
    return failed && this.#clock.monotonicMs() < failed.untilMs ? failed.error : undefined
  }

  /** Milliseconds until a new try is welcome; 0 if nothing failed. */
  waitMs(key: Key): number {
    return Math.max(0, (this.#failed.get(key)?.untilMs ?? 0) - this.#clock.monotonicMs())
  }

  /** Without a key: everything, because the network or the page came back. */
  forget(key?: Key): void {
    if (key === undefined) this.#failed.clear()
    else this.#failed.delete(key)
  }
}
