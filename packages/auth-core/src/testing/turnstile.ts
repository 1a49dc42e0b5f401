import type { DeviceStore, SessionStore } from '../ports.ts'

/** Lets the steps of one tab (storage calls and requests) through, up to a number that a test chooses. */
export class Turnstile {
  /** Steps that were taken or are waiting. */
  steps = 0
  #stopAt = Number.POSITIVE_INFINITY
  #waiting: (() => void)[] = []

  /** Whether a step stands before the closed turnstile. */
  get isStopped(): boolean {
    return this.#waiting.length > 0
  }

  /** Counts anew and closes before the step of this number: 0 is the very next one. */
  closeBefore(step: number): void {
    this.steps = 0
    this.#stopAt = step
  }

  open(): void {
    this.#stopAt = Number.POSITIVE_INFINITY
    for (const go of this.#waiting.splice(0)) go()
  }

  async pass(): Promise<void> {
    const step = this.steps
    this.steps += 1
    if (step >= this.#stopAt) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

/** `store`, each call of which is one step. */
export function steppedStore(store: SessionStore, turnstile: Turnstile): SessionStore {
  const step = async <T>(call: () => Promise<T>): Promise<T> => {
    await turnstile.pass()
    return call()
  }
  const device: DeviceStore = {
    read: () => step(() => store.device.read()),
    update: (...args) => step(() => store.device.update(...args)),
  }
  return {
    changes$: store.changes$,
    open: (context) => step(() => store.open(context)),
    close: () => store.close(),
    read: (key) => step(() => store.read(key)),
    list: () => step(() => store.list()),
    findByTag: (tag) => step(() => store.findByTag(tag)),
    tag: (...args) => step(() => store.tag(...args)),
    update: (...args) => step(() => store.update(...args)),
    remove: (...args) => step(() => store.remove(...args)),
    device,
  }
}

/** `fetch`, each request of which is one step before it is sent and one when its answer is there. */
export function steppedFetch(fetch: typeof globalThis.fetch, turnstile: Turnstile): typeof globalThis.fetch {
  return async (input, init) => {
    await turnstile.pass()
    const answer = await fetch(input, init)
    await turnstile.pass()
    return answer
  }
}
