import type { World } from '@nightlatch/auth-core/world'

const BEAT_MS = 1_000
/** Timers of a hidden tab come late by up to a second; more than this and the tab stood still. */
const STOOD_STILL_MS = 2_500

/** Beats once a second while the tab lives, and knows afterwards that it did not. */
export class Pulse {
  readonly #world: World
  #lastMs: number
  #stoodStill = false
  #stop: () => void = () => {}

  constructor(world: World, beat: () => void) {
    this.#world = world
    this.#lastMs = world.clock.monotonicMs()
    const next = () => {
      this.#stop = world.timers.start(
        BEAT_MS,
        () => {
          this.#stoodStill ||= this.#isLate
          this.#lastMs = world.clock.monotonicMs()
          next()
          beat()
        },
        { background: true },
      )
    }
    next()
  }

  /** Whether other tabs may have taken this one for dead, until that is looked up. The first timer that fires late is no proof of the contrary. */
  get stoodStill(): boolean {
    return this.#stoodStill || this.#isLate
  }

  /** Who may lead has been looked up again. */
  confirm(): void {
    this.#stoodStill = false
    this.#lastMs = this.#world.clock.monotonicMs()
  }

  get #isLate(): boolean {
    return this.#world.clock.monotonicMs() - this.#lastMs > STOOD_STILL_MS
  }

  stop(): void {
    this.#stop()
  }
}
