/** Something was committed. Listeners look for themselves: a message may come late or twice. */
export type BusEvent =
  | { readonly kind: 'changed'; readonly collection: string; readonly scope: string }
  | { readonly kind: 'sessions-ended'; readonly sessionIds: readonly string[] }
  /** Anything may have been missed: look at everything. */
  | { readonly kind: 'missed' }

/** How the instances of one server tell each other what was committed. Call it after the commit. */
export interface ChangeBus {
  changed(collection: string, scope: string): void
  sessionsEnded(sessionIds: readonly string[]): void
  listen(listener: (event: BusEvent) => void): void
  close(): Promise<void>
}

/** For a server that is one process. */
export class LocalBus implements ChangeBus {
  readonly #listeners = new Set<(event: BusEvent) => void>()

  changed(collection: string, scope: string): void {
    this.#tell({ kind: 'changed', collection, scope })
  }

  sessionsEnded(sessionIds: readonly string[]): void {
    if (sessionIds.length > 0) this.#tell({ kind: 'sessions-ended', sessionIds })
  }

  listen(listener: (event: BusEvent) => void): void {
    this.#listeners.add(listener)
  }

  async close(): Promise<void> {
    this.#listeners.clear()
  }

  #tell(event: BusEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}
