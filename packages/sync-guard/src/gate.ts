import { SyncError } from './sync-error.ts'

/**
 * One run of sync under one session: opened once, closed once, never opened again. Whatever is sent, or waits to be sent, does so under one gate,
 * so nothing captured in one session can leave under the next (G2).
 */
export class Gate {
  readonly #closing = new AbortController()
  readonly #cutting = new AbortController()

  /** @param parent closes and cuts this one too: a replication has a gate of its own in the gate of the whole run */
  constructor(parent?: Gate) {
    if (!parent) return
    onAbort(parent.closing, () => this.close())
    onAbort(parent.cutting, () => this.cutOff())
  }

  get open(): boolean {
    return !this.#closing.signal.aborted
  }

  /** Aborts when the gate closes: pulls and streams end, whatever waits goes on waiting for the end of its replication. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** Aborts later, at the deadline for pushes in flight: they are not waited for any more. */
  get cutting(): AbortSignal {
    return this.#cutting.signal
  }

  /** Takes effect at once: no request starts after this returns. */
  close(): void {
    this.#closing.abort(new SyncError('session-ended', 'Sync was halted while this request was on its way.'))
  }

  cutOff(): void {
    this.#cutting.abort(new SyncError('session-ended', 'Sync was halted, and this push was not answered in time.'))
  }
}

/** Settles as `work` does, or rejects with the signal's reason as soon as it aborts; a later result of `work` is dropped. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason as Error)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Calls `listener` when `signal` aborts, at once if it has. Returns how to stop listening. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener()
    return () => {}
  }
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}
