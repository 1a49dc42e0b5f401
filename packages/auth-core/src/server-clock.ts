import type { Clock } from './world/index.ts'

/**
 * The server's time as this device last learned it. Between two lessons it advances by whichever of the device's clocks moved more:
 * the wall clock goes on while the device sleeps, the monotonic one is not moved by somebody setting the date back. A wall clock that is set
 * forward makes a token look old, which costs one refresh and teaches the right time again (S11).
 */
export class ServerClock {
  readonly #clock: Clock
  #learned: { readonly serverMs: number; readonly wallMs: number; readonly monotonicMs: number }

  constructor(clock: Clock) {
    this.#clock = clock
    this.#learned = this.#at(clock.nowMs())
  }

  nowMs(): number {
    const { serverMs, wallMs, monotonicMs } = this.#learned
    return serverMs + Math.max(this.#clock.nowMs() - wallMs, this.#clock.monotonicMs() - monotonicMs)
  }

  /** @param offsetMs server time minus this device's wall clock, just measured or remembered. */
  learn(offsetMs: number): void {
    this.#learned = this.#at(this.#clock.nowMs() + offsetMs)
  }

  #at(serverMs: number) {
    return { serverMs, wallMs: this.#clock.nowMs(), monotonicMs: this.#clock.monotonicMs() }
  }
}
