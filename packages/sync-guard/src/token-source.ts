import type { World } from '@nightlatch/auth-core/world'
import { retryDelayMs } from './backoff.ts'
import { type Gate, onAbort, untilAborted } from './gate.ts'
import type { SyncPolicy } from './policy.ts'
import { loginRequiredReason, type SyncSession } from './sync-session.ts'

export interface TokenSourceOptions {
  readonly session: SyncSession
  readonly gate: Gate
  readonly world: World
  readonly policy: Required<SyncPolicy>
  readonly onLoginRequired: (reason: string) => void
  readonly onDelay: (retryAtMs: number) => void
  readonly changed: () => void
}

/** Asks the session for tokens on behalf of all replications: one question at a time, however many calls wait for the answer (G4). */
export class TokenSource {
  readonly #options: TokenSourceOptions
  #asking: Promise<string> | undefined
  #last: string | undefined
  #rejected: string | undefined
  #retryAtMs: number | undefined
  #retryNow: () => void = () => {}

  constructor(options: TokenSourceOptions) {
    this.#options = options
  }

  /** A token fit to be sent now. Waits as long as it takes; rejects only when the gate closes. */
  current(): Promise<string> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
      this.#options.changed()
    })
    return this.#asking
  }

  /** Marks exactly this token as bad. Whoever asks from now on waits for its successor; if there is one already, nothing happens. */
  reject(token: string): void {
    if (token !== this.#last) return
    this.#rejected = token
    this.#options.changed()
  }

  get refreshing(): boolean {
    return this.#rejected !== undefined
  }

  /** When the session is asked again after it had no token to give. */
  get retryAtMs(): number | undefined {
    return this.#retryAtMs
  }

  hurry(): void {
    this.#retryNow()
  }

  async #ask(): Promise<string> {
    const { session, gate } = this.#options
    for (let failures = 1; ; failures += 1) {
      gate.closing.throwIfAborted()
      const rejected = this.#rejected
      try {
        const question = rejected === undefined ? { signal: gate.closing } : { signal: gate.closing, rejected }
        const token = await untilAborted(session.getToken(question), gate.closing)
        if (token === this.#rejected && rejected === undefined) continue // refused while it was on its way
        this.#last = token
        this.#rejected = undefined
        this.#retryAtMs = undefined
        return token
      } catch (error) {
        gate.closing.throwIfAborted()
        const reason = loginRequiredReason(error)
        if (reason !== undefined) this.#options.onLoginRequired(reason) // closes the gate
        gate.closing.throwIfAborted()
        await this.#wait(failures)
      }
    }
  }

  #wait(failures: number): Promise<void> {
    const { world, policy, gate } = this.#options
    const delayMs = retryDelayMs(failures, world.random.fraction(), policy)
    const retryAtMs = world.clock.nowMs() + delayMs
    this.#retryAtMs = retryAtMs
    this.#options.onDelay(retryAtMs)
    this.#options.changed()
    return new Promise((resolve) => {
      const done = () => {
        stopTimer()
        stopListening()
        this.#retryNow = () => {}
        resolve()
      }
      const stopTimer = world.timers.start(delayMs, done, { background: true })
      const stopListening = onAbort(gate.closing, () => done())
      this.#retryNow = done
    })
  }
}
