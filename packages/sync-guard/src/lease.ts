import type { Locks } from '@nightlatch/auth-core/world'

/** Decides which of the tabs replicates: the one that holds the named lock. The others read, write and show the state. */
export class Lease {
  readonly #locks: Locks
  readonly #changed: () => void
  #waiting: { readonly name: string; readonly giveUp: () => void } | undefined
  #held = false

  constructor(locks: Locks, changed: () => void) {
    this.#locks = locks
    this.#changed = changed
  }

  isHeld(name: string): boolean {
    return this.#held && this.#waiting?.name === name
  }

  /** Stands in line for the lease, if it does not already. */
  want(name: string): void {
    if (this.#waiting?.name === name) return
    this.release()
    const giving = new AbortController()
    const given = new Promise<void>((resolve) => giving.signal.addEventListener('abort', () => resolve(), { once: true }))
    const mine = { name, giveUp: () => giving.abort() }
    this.#waiting = mine
    const hold = async () => {
      if (this.#waiting !== mine) return
      this.#held = true
      this.#changed()
      await given
    }
    this.#locks.hold(`nightlatch-sync:${name}`, hold, { signal: giving.signal }).catch(() => {})
  }

  /** Takes it without waiting for a holder that gives no sign of life. Who held it must be fenced off by other means. */
  take(name: string): void {
    this.want(name)
    this.#held = true
    this.#changed()
  }

  release(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    this.#held = false
    waiting?.giveUp()
  }
}
