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
