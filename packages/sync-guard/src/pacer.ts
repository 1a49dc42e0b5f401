import type { World } from '@nightlatch/auth-core/world'
import { retryDelayMs } from './backoff.ts'
import { onAbort } from './gate.ts'
import type { SyncPolicy } from './policy.ts'
import type { BlockedCause } from './sync-state.ts'

/** Why calls wait. `later`: network or server; the others wait for somebody to change something. */
export type WaitCause = 'later' | BlockedCause

/** The permission to send once. Exactly one of its methods is called, with what became of the request. */
export interface Ticket {
  succeeded(): void
  failed(cause: WaitCause, retryAfterMs?: number): void
  /** The request told nothing about the other side: aborted, or never sent. */
  dropped(): void
}

export interface Waiting {
  readonly cause: WaitCause
  readonly retryAtMs: number
}

/**
 * Decides when requests may start again after one has failed: all wait, then one goes ahead as a probe, and the others follow if it succeeds.
 * Twenty calls that share a pacer make one request per try (G5).
 */
export class Pacer {
  readonly #world: World
  readonly #policy: Required<SyncPolicy>
  readonly #changed: () => void
  readonly #queue = new Set<() => void>()
  readonly #watchers = new Set<() => void>()
  #state: 'clear' | 'waiting' | 'due' | 'probing' = 'clear'
  #failures = 0
  #waiting: Waiting | undefined
  #stopTimer: () => void = () => {}

  constructor(world: World, policy: Required<SyncPolicy>, changed: () => void) {
    this.#world = world
    this.#policy = policy
    this.#changed = changed
  }

  /** What the last failure was and when the next try is; `undefined` if nothing is wrong. */
  get waiting(): Waiting | undefined {
    return this.#waiting
  }

  /** Resolves when a request may start; with `undefined` if the signal aborts first. */
  turn(signal: AbortSignal): Promise<Ticket | undefined> {
    if (signal.aborted) return Promise.resolve(undefined)
    if (this.#state === 'clear') return Promise.resolve(this.#ticket(false))
    if (this.#state === 'due') return Promise.resolve(this.#probe())
    return new Promise((resolve) => {
      const proceed = () => {
        stop()
        this.#queue.delete(proceed)
        resolve(this.#state === 'clear' ? this.#ticket(false) : this.#probe())
      }
      const stop = onAbort(signal, () => {
        this.#queue.delete(proceed)
        resolve(undefined)
      })
      this.#queue.add(proceed)
    })
  }

  /** Resolves once nothing is wrong, without becoming the probe; also when the signal aborts. */
  async clear(signal: AbortSignal): Promise<void> {
    if (this.#state === 'clear') return
    await new Promise<void>((resolve) => {
      const proceed = () => {
        stop()
        this.#watchers.delete(proceed)
        resolve()
      }
      this.#watchers.add(proceed)
      const stop = onAbort(signal, () => proceed())
    })
  }

  /** The network is back, or a person asked: try now. */
  hurry(): void {
    if (this.#state === 'waiting') this.#due()
  }

  stop(): void {
    this.#stopTimer()
  }

  #probe(): Ticket {
    this.#state = 'probing'
    return this.#ticket(true)
  }

  #ticket(probe: boolean): Ticket {
    const startedAfter = this.#failures
    return {
      succeeded: () => this.#succeed(),
      failed: (cause, retryAfterMs) => {
        if (probe || startedAfter === this.#failures) this.#fail(cause, retryAfterMs)
      },
      dropped: () => {
        if (probe) this.#due()
      },
    }
  }

  #succeed(): void {
    if (this.#state === 'clear') return
    this.#stopTimer()
    this.#state = 'clear'
    this.#failures = 0
    this.#waiting = undefined
    for (const proceed of [...this.#queue, ...this.#watchers]) proceed()
    this.#changed()
  }

  #fail(cause: WaitCause, retryAfterMs?: number): void {
    this.#stopTimer()
    this.#failures += 1
    const delayMs = retryDelayMs(this.#failures, this.#world.random.fraction(), this.#policy, retryAfterMs)
    this.#state = 'waiting'
    this.#waiting = { cause, retryAtMs: this.#world.clock.nowMs() + delayMs }
    this.#stopTimer = this.#world.timers.start(delayMs, () => this.#due(), { background: true })
    this.#changed()
  }

  #due(): void {
    this.#stopTimer()
    this.#state = 'due'
    const [next] = this.#queue
    next?.()
  }
}
