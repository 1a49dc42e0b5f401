/** Lets callers of the same key share one running task. */
export class SingleFlight<Key, Result> {
  readonly #running = new Map<Key, Promise<Result>>()

  run(key: Key, task: () => Promise<Result>): Promise<Result> {
    const running = this.#running.get(key)
    if (running) return running
    const flight = task().finally(() => this.#running.delete(key))
    this.#running.set(key, flight)
    return flight
  }
}

/** Lets callers share a look at something that others change: one that begins after they asked, never one that was under way and may have missed it. */
export class SharedLook<Key, Result> {
  readonly #looks = new Map<Key, { readonly running: Promise<Result>; next?: Promise<Result> }>()

  run(key: Key, look: () => Promise<Result>): Promise<Result> {
    const standing = this.#looks.get(key)
    if (!standing) return this.#begin(key, look)
    standing.next ??= standing.running.then(() => this.#begin(key, look))
    return standing.next
  }

  #begin(key: Key, look: () => Promise<Result>): Promise<Result> {
    const running = look()
    const entry = { running }
    this.#looks.set(key, entry)
    const clear = () => {
      if (this.#looks.get(key) === entry && !('next' in entry)) this.#looks.delete(key)
    }
    running.then(clear, () => this.#looks.delete(key))
    return running
  }
}
