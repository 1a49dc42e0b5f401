import type { Undo, World } from '@nightlatch/auth-core/world'
import { deepEqual } from 'rxdb/plugins/core'
import { BehaviorSubject, defer, type Observable } from 'rxjs'
import type { SyncState } from './sync-state.ts'

/** Each call of a handler changes the state several times. What changes within this time after it was shown is shown together. */
const GATHER_MS = 4

/**
 * The state as the app sees it: always current when it is asked for, and told to subscribers when it is different. The first change is told in the
 * same moment, more of them not before a few milliseconds have passed, the last one always.
 */
export class ShownState {
  /** Begins with the state of the moment. */
  readonly state$: Observable<SyncState>
  readonly #world: World
  readonly #stateNow: () => SyncState
  readonly #shown: () => void
  readonly #states: BehaviorSubject<SyncState>
  #state: SyncState
  #shownAtMs = Number.NEGATIVE_INFINITY
  #isDue = false
  #isClosed = false
  #stopTimer: Undo | undefined

  constructor(options: { readonly world: World; readonly stateNow: () => SyncState; readonly shown: () => void }) {
    this.#world = options.world
    this.#stateNow = options.stateNow
    this.#shown = options.shown
    this.#state = options.stateNow()
    this.#states = new BehaviorSubject(this.#state)
    this.state$ = defer(() => {
      this.#show()
      return this.#states
    })
  }

  /** The same object until something is different, so that it can be compared and given to a renderer. */
  get state(): SyncState {
    const now = this.#stateNow()
    if (!deepEqual(now, this.#state)) this.#state = now
    return this.#state
  }

  /** Something may be different. `atOnce`: somebody waits for it, or it may be gone again in a few milliseconds. */
  changed({ atOnce = false } = {}): void {
    if (this.#isDue || this.#isClosed) return
    const sinceMs = this.#world.clock.monotonicMs() - this.#shownAtMs
    // The timers of a hidden tab come late by a second or a minute, and others may wait for what it tells them.
    if (atOnce || sinceMs >= GATHER_MS || !this.#world.lifecycle.visible) {
      this.#isDue = true
      queueMicrotask(() => {
        this.#isDue = false
        this.#show()
      })
      return
    }
    this.#stopTimer ??= this.#world.timers.start(GATHER_MS - sinceMs, () => this.#show())
  }

  /** Shows nothing any more. */
  close(): void {
    this.#isClosed = true
    this.#stopTimer?.()
    this.#states.complete()
  }

  #show(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
    if (this.#isClosed) return
    this.#shownAtMs = this.#world.clock.monotonicMs()
    const { state } = this
    if (state === this.#states.value) return
    this.#states.next(state)
    this.#shown()
  }
}
