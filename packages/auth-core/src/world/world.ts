/**
 * The outside world as Nightlatch sees it: everything that is not a pure function of its arguments comes through here,
 * so that a test can own time, chance, the network, the other tabs and the tab's own life.
 *
 * Internal: apps never build one. `realWorld()` feature-detects; `@nightlatch/auth-core/testing` has a simulated one.
 */
export interface World {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly fetch: typeof globalThis.fetch
  readonly connectivity: Connectivity
  readonly lifecycle: Lifecycle
  readonly locks: Locks
  readonly channels: Channels
  readonly hints: HintStore
}

/** Undoes what the call that returned it did. Calling it twice is harmless. */
export type Undo = () => void

export interface Clock {
  /** The device's wall clock, milliseconds since 1970. It may be wrong by years and may jump. */
  nowMs(): number
  /** Milliseconds since some fixed moment of this realm; never goes back, may stand still while the device sleeps. */
  monotonicMs(): number
}

export interface Timers {
  /**
   * Calls `callback` once, after at least `delayMs`. Delays over 2^31-1 ms, which engines fire at once, are clamped to it.
   * A `background` timer (prefetch, heartbeat) does not keep a Node process alive.
   */
  start(delayMs: number, callback: () => void, options?: { readonly background?: boolean }): Undo
}

export interface Random {
  /** Cryptographically strong bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer>
  /** A number in [0, 1), for jitter only. */
  fraction(): number
}

export interface Connectivity {
  /** What the platform believes. `false` is reliable; `true` only means that some interface is up. */
  readonly online: boolean
  watch(listener: (online: boolean) => void): Undo
}

/**
 * `visible`/`hidden`: visibility of the page. `frozen`/`resumed`: the page lifecycle's freeze and resume.
 * `page-shown`/`page-hidden`: `pageshow` and `pagehide`, also into and out of the back-forward cache.
 */
export type LifecycleSignal = 'visible' | 'hidden' | 'frozen' | 'resumed' | 'page-shown' | 'page-hidden'

export interface Lifecycle {
  readonly visible: boolean
  watch(listener: (signal: LifecycleSignal) => void): Undo
}

/**
 * Named locks. They only ever save work: nothing may depend on one for its correctness, because a tab in the back-forward cache
 * or behind a debugger can keep its lock for ever, and because a released lock does not stop the code that held it.
 */
export interface Locks {
  /** Whether other tabs of this origin see the locks (Web Locks). If `false` they order the callers of this realm only. */
  readonly acrossTabs: boolean
  /**
   * Runs `task` while the named lock is held, waiting for it as long as it takes.
   * On `pagehide` the lock is released although `task` goes on.
   *
   * @throws the signal's reason, when it aborts before the lock was granted
   */
  hold<T>(name: string, task: () => Promise<T>, options?: { readonly signal?: AbortSignal | undefined }): Promise<T>
  /** Runs `task` under the lock if nobody holds it now, else does nothing. */
  holdIfFree<T>(name: string, task: () => Promise<T>): Promise<{ readonly held: true; readonly value: T } | { readonly held: false }>
}

/** Messages to the other tabs of this origin. Delivery is not promised: a message is a hint to look at storage. */
export interface Channels {
  open(name: string): Channel
}

export interface Channel {
  /** Structured-cloneable data only. Never delivered to the sender. */
  post(message: unknown): void
  listen(listener: (message: unknown) => void): Undo
  close(): void
}

/**
 * A small synchronous store shared by the tabs (localStorage where there is one). Other tabs may read a write late and the user may clear it,
 * so what is in it may only ever *close* a gate. Never holds a secret.
 */
export interface HintStore {
  read(name: string): string | null
  write(name: string, value: string): void
  remove(name: string): void
}
