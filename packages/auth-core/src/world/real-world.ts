import type { Channel, Channels, Connectivity, HintStore, Lifecycle, LifecycleSignal, Locks, Timers, Undo, World } from './world.ts'

/** The largest delay a timer takes: a larger one overflows to "at once" in browsers and in Node. */
const MAX_TIMER_MS = 2_147_483_647

/** The real outside world. Detects what the platform offers when it is called, not when this module is imported. */
export function realWorld(): World {
  const lifecycle = pageLifecycle()
  return {
    clock: { nowMs: () => Date.now(), monotonicMs: () => performance.now() },
    timers: platformTimers,
    random: {
      bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
      fraction: () => Math.random(),
    },
    fetch: (input, init) => globalThis.fetch(input, init),
    connectivity: platformConnectivity(),
    lifecycle,
    locks: typeof navigator !== 'undefined' && navigator.locks ? webLocks(navigator.locks, lifecycle) : realmLocks(),
    channels: typeof BroadcastChannel === 'undefined' ? silentChannels : broadcastChannels,
    hints: localHints(),
  }
}

const platformTimers: Timers = {
  start(delayMs, callback, { background = false } = {}) {
    const id: unknown = setTimeout(callback, Math.min(Math.max(delayMs, 0), MAX_TIMER_MS))
    if (background && isUnrefable(id)) id.unref()
    return () => clearTimeout(id as number)
  },
}

/** Node's timers and channels keep the process alive unless told otherwise. */
function isUnrefable(handle: unknown): handle is { unref(): void } {
  return typeof handle === 'object' && handle !== null && 'unref' in handle
}

function platformConnectivity(): Connectivity {
  return {
    get online() {
      return typeof navigator === 'undefined' || navigator.onLine !== false
    },
    watch(listener) {
      return watchEvents(globalThis, { online: () => listener(true), offline: () => listener(false) })
    },
  }
}

function pageLifecycle(): Lifecycle {
  const page = typeof document === 'undefined' ? undefined : document
  return {
    get visible() {
      return page?.visibilityState !== 'hidden'
    },
    watch(listener) {
      const tell = (signal: LifecycleSignal) => () => listener(signal)
      const stopWindow = watchEvents(globalThis, { pageshow: tell('page-shown'), pagehide: tell('page-hidden') })
      if (!page) return stopWindow
      const stopPage = watchEvents(page, {
        visibilitychange: () => listener(page.visibilityState === 'hidden' ? 'hidden' : 'visible'),
        freeze: tell('frozen'),
        resume: tell('resumed'),
      })
      return () => {
        stopWindow()
        stopPage()
      }
    },
  }
}

function watchEvents(target: unknown, handlers: Record<string, () => void>): Undo {
  if (!isEventTarget(target)) return () => {}
  const entries = Object.entries(handlers)
  for (const [name, handler] of entries) target.addEventListener(name, handler)
  return () => {
    for (const [name, handler] of entries) target.removeEventListener(name, handler)
  }
}

function isEventTarget(target: unknown): target is EventTarget {
  return typeof target === 'object' && target !== null && 'addEventListener' in target && typeof target.addEventListener === 'function'
}

function webLocks(manager: LockManager, lifecycle: Lifecycle): Locks {
  // A page that enters the back-forward cache keeps its locks and starves every waiter (seen in Chromium 156), so it lets go first.
  const untilHidden = (work: Promise<unknown>) =>
    new Promise<void>((resolve) => {
      const stop = lifecycle.watch((signal) => {
        if (signal === 'page-hidden') done()
      })
      const done = () => {
        stop()
        resolve()
      }
      work.then(done, done)
    })

  return {
    acrossTabs: true,
    hold: (name, task, options = {}) =>
      new Promise((resolve, reject) => {
        const granted = () => {
          const work = task()
          work.then(resolve, reject)
          return untilHidden(work)
        }
        const request = options.signal ? manager.request(name, { signal: options.signal }, granted) : manager.request(name, granted)
        // WebKit rejects with an error of its own instead of the signal's reason.
        request.catch((error: unknown) => reject(options.signal?.aborted ? options.signal.reason : error))
      }),
    holdIfFree: (name, task) =>
      new Promise((resolve, reject) => {
        manager
          .request(name, { ifAvailable: true }, (lock) => {
            if (!lock) {
              resolve({ held: false })
              return undefined
            }
            const work = task()
            work.then((value) => resolve({ held: true, value }), reject)
            return untilHidden(work)
          })
          .catch(reject)
      }),
  }
}

/** Locks for one realm: Node, Electron's main process, and browsers without Web Locks. */
export function realmLocks(): Locks {
  const tails = new Map<string, Promise<void>>()

  const run = <T>(name: string, before: Promise<void> | undefined, task: () => Promise<T>): Promise<T> => {
    const work = before ? before.then(task) : task()
    const tail = work.then(
      () => {},
      () => {},
    )
    tails.set(name, tail)
    void tail.then(() => {
      if (tails.get(name) === tail) tails.delete(name)
    })
    return work
  }

  return {
    acrossTabs: false,
    async hold(name, task, { signal } = {}) {
      signal?.throwIfAborted()
      const before = tails.get(name)
      if (!before || !signal) return run(name, before, task)
      let begun = false
      const guarded = async () => {
        signal.throwIfAborted()
        begun = true
        return task()
      }
      const work = run(name, before, guarded)
      return new Promise((resolve, reject) => {
        const giveUp = () => {
          if (!begun) reject(signal.reason)
        }
        signal.addEventListener('abort', giveUp, { once: true })
        work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp))
      })
    },
    async holdIfFree(name, task) {
      if (tails.has(name)) return { held: false }
      return { held: true, value: await run(name, undefined, task) }
    },
  }
}

const broadcastChannels: Channels = {
  open(name): Channel {
    const channel = new BroadcastChannel(name)
    // Node keeps the process alive for an open channel; a session manager must not.
    if (isUnrefable(channel)) channel.unref()
    let open = true
    return {
      post(message) {
        if (open) channel.postMessage(message)
      },
      listen(listener) {
        const receive = (event: MessageEvent) => listener(event.data)
        channel.addEventListener('message', receive)
        return () => channel.removeEventListener('message', receive)
      },
      close() {
        open = false
        channel.close()
      },
    }
  },
}

const silentChannels: Channels = {
  open: () => ({ post: () => {}, listen: () => () => {}, close: () => {} }),
}

function localHints(): HintStore {
  const storage = usableLocalStorage()
  if (!storage) return memoryHints()
  return {
    read: (name) => storage.getItem(name),
    write(name, value) {
      try {
        storage.setItem(name, value)
      } catch {
        // Full or forbidden: a hint that cannot be left is no failure.
      }
    },
    remove: (name) => storage.removeItem(name),
  }
}

/** Reading the property itself throws where storage is blocked; Node's needs a command-line flag, so only pages use it. */
function usableLocalStorage(): Storage | undefined {
  try {
    return typeof document === 'undefined' ? undefined : globalThis.localStorage
  } catch {
    return undefined
  }
}

export function memoryHints(): HintStore {
  const values = new Map<string, string>()
  return {
    read: (name) => values.get(name) ?? null,
    write: (name, value) => void values.set(name, value),
    remove: (name) => void values.delete(name),
  }
}
