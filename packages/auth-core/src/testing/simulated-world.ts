import type { Channel, LifecycleSignal, Undo, World } from '../world/index.ts'

/** One device with several tabs, in virtual time. The same seed gives the same run. */
export class SimulatedDevice {
  /** True time: what the server's clock shows. */
  trueMs = Date.UTC(2026, 0, 1)
  /** How wrong this device's clock is. */
  wallOffsetMs = 0
  /** Messages between tabs take this long; `Infinity`: they get lost. */
  channelLagMs = 1
  /** Whether tabs see each other's locks. */
  locksAcrossTabs = true
  fetch: typeof globalThis.fetch = () => Promise.reject(new TypeError('fetch failed'))
  #online = true
  #asleepMs = 0
  #seed: number
  readonly #tabs: SimulatedTab[] = []
  readonly #timers: SimulatedTimer[] = []
  readonly #locks = new Map<string, SimulatedLock>()
  readonly #channels = new Map<string, Set<SimulatedChannel>>()
  readonly hints = new Map<string, string>()
  #timerCount = 0

  constructor(seed = 1) {
    this.#seed = seed
  }

  get online(): boolean {
    return this.#online
  }

  openTab(): SimulatedTab {
    const tab = new SimulatedTab(this)
    this.#tabs.push(tab)
    return tab
  }

  setOnline(online: boolean): void {
    this.#online = online
    for (const tab of this.#tabs) tab.tellConnectivity(online)
  }

  /** Lets virtual time pass, firing what is due in order, and everything that follows from it. */
  async pass(time: {
    readonly ms?: number
    readonly seconds?: number
    readonly minutes?: number
    readonly hours?: number
    readonly days?: number
  }): Promise<void> {
    const { ms = 0, seconds = 0, minutes = 0, hours = 0, days = 0 } = time
    const untilMs = this.trueMs + ms + 1000 * (seconds + 60 * (minutes + 60 * (hours + 24 * days)))
    await settle()
    for (let next = this.#nextDue(untilMs); next; next = this.#nextDue(untilMs)) {
      this.#fire(next)
      await settle()
    }
    this.trueMs = untilMs
  }

  /** Passes time until `promise` settles, at most ten virtual minutes. */
  async resolve<T>(promise: Promise<T>): Promise<T> {
    let done = false
    const outcome = promise.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    void outcome.then(() => {
      done = true
    })
    if (!(await this.until(() => done))) throw new Error('The promise did not settle within ten virtual minutes.')
    const settled = await outcome
    if ('error' in settled) throw settled.error
    return settled.value
  }

  /** Passes time, timer by timer, until `condition` holds. @returns whether it did within `withinMs` */
  async until(condition: () => boolean, withinMs = 600_000): Promise<boolean> {
    const limitMs = this.trueMs + withinMs
    for (;;) {
      await settle()
      if (condition()) return true
      const next = this.#nextDue(limitMs)
      if (!next) return false
      this.#fire(next)
    }
  }

  /** The whole device sleeps: the wall clock goes on, nothing else does. */
  async sleep(time: { readonly hours?: number; readonly days?: number }): Promise<void> {
    await settle()
    const ms = ((time.days ?? 0) * 24 + (time.hours ?? 0)) * 3_600_000
    this.trueMs += ms
    this.#asleepMs += ms
    for (const timer of this.#timers) timer.dueMs += ms
    for (const tab of this.#tabs) tab.tellLifecycle('resumed')
    await settle()
  }

  wallMs(): number {
    return this.trueMs + this.wallOffsetMs
  }

  monotonicMs(): number {
    return this.trueMs - this.#asleepMs
  }

  fraction(): number {
    // mulberry32: small, seeded, good enough to choose delays and orders.
    this.#seed = (this.#seed + 0x6d2b79f5) | 0
    let t = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  startTimer(tab: SimulatedTab, delayMs: number, callback: () => void): Undo {
    this.#timerCount += 1
    const timer: SimulatedTimer = { tab, order: this.#timerCount, dueMs: this.trueMs + Math.max(0, delayMs), callback }
    this.#timers.push(timer)
    return () => {
      const index = this.#timers.indexOf(timer)
      if (index >= 0) this.#timers.splice(index, 1)
    }
  }

  lock(tab: SimulatedTab, name: string): SimulatedLock {
    const scoped = this.locksAcrossTabs ? name : `${tab.id}:${name}`
    const lock = this.#locks.get(scoped) ?? { holder: undefined, waiters: [] }
    this.#locks.set(scoped, lock)
    return lock
  }

  /** A closed tab's locks pass on. */
  releaseLocksOf(tab: SimulatedTab): void {
    for (const lock of this.#locks.values()) {
      lock.waiters = lock.waiters.filter((waiter) => waiter.tab !== tab)
      if (lock.holder?.tab === tab) lock.holder.release()
    }
  }

  openChannel(tab: SimulatedTab, name: string): Channel {
    const peers = this.#channels.get(name) ?? new Set()
    this.#channels.set(name, peers)
    const channel = new SimulatedChannel(tab)
    peers.add(channel)
    return {
      post: (message) => {
        if (tab.closed || this.channelLagMs === Number.POSITIVE_INFINITY) return
        const copy = structuredClone(message)
        for (const peer of peers) if (peer !== channel) this.startTimer(peer.tab, this.channelLagMs, () => peer.receive(copy))
      },
      listen: (listener) => {
        channel.listeners.add(listener)
        return () => channel.listeners.delete(listener)
      },
      close: () => peers.delete(channel),
    }
  }

  /** Whatever waits for time to pass in this tab waits that much longer. */
  postpone(tab: SimulatedTab, ms: number): void {
    for (const timer of this.#timers) if (timer.tab === tab) timer.dueMs += ms
  }

  #fire(timer: SimulatedTimer): void {
    this.trueMs = Math.max(this.trueMs, timer.dueMs)
    this.#timers.splice(this.#timers.indexOf(timer), 1)
    timer.callback()
  }

  #nextDue(untilMs: number): SimulatedTimer | undefined {
    const due = this.#timers.filter(({ dueMs, tab }) => dueMs <= untilMs && !tab.frozen && !tab.closed)
    return due.sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)[0]
  }
}

interface SimulatedTimer {
  readonly tab: SimulatedTab
  readonly order: number
  dueMs: number
  readonly callback: () => void
}

interface SimulatedLock {
  holder: { readonly tab: SimulatedTab; readonly release: () => void } | undefined
  waiters: { readonly tab: SimulatedTab; readonly grant: () => void }[]
}

class SimulatedChannel {
  readonly tab: SimulatedTab
  readonly listeners = new Set<(message: unknown) => void>()

  constructor(tab: SimulatedTab) {
    this.tab = tab
  }

  receive(message: unknown): void {
    for (const listener of this.listeners) listener(message)
  }
}

let tabs = 0

/** One tab: a `World` of its own on a shared device. It can freeze, thaw and die. */
export class SimulatedTab {
  readonly id: number
  readonly device: SimulatedDevice
  readonly world: World
  frozen = false
  closed = false
  visible = true
  readonly #connectivity = new Set<(online: boolean) => void>()
  readonly #lifecycle = new Set<(signal: LifecycleSignal) => void>()

  constructor(device: SimulatedDevice) {
    tabs += 1
    this.id = tabs
    this.device = device
    const { hints } = device
    const isVisible = () => this.visible
    this.world = {
      clock: { nowMs: () => device.wallMs(), monotonicMs: () => device.monotonicMs() },
      timers: { start: (delayMs, callback) => device.startTimer(this, Math.min(delayMs, 2 ** 31 - 1), callback) },
      random: {
        bytes: (length) => Uint8Array.from({ length }, () => Math.floor(device.fraction() * 256)),
        fraction: () => device.fraction(),
      },
      fetch: (input, init) => (this.closed ? new Promise(() => {}) : device.fetch(input, init)),
      connectivity: {
        get online() {
          return device.online
        },
        watch: (listener) => watch(this.#connectivity, listener),
      },
      lifecycle: {
        get visible() {
          return isVisible()
        },
        watch: (listener) => watch(this.#lifecycle, listener),
      },
      locks: {
        acrossTabs: device.locksAcrossTabs,
        hold: (name, task, options) => this.#hold(name, task, options?.signal),
        holdIfFree: async (name, task) => {
          if (device.lock(this, name).holder) return { held: false }
          return { held: true, value: await this.#hold(name, task, undefined) }
        },
      },
      channels: { open: (name) => device.openChannel(this, name) },
      hints: {
        read: (name) => hints.get(name) ?? null,
        write: (name, value) => void hints.set(name, value),
        remove: (name) => void hints.delete(name),
      },
    }
  }

  /** Nothing of this tab runs until `thaw`; its locks stay held. */
  freeze(): void {
    this.frozen = true
  }

  thaw(): void {
    this.frozen = false
    this.tellLifecycle('resumed')
  }

  /** The tab is gone, like a closed or killed one: nothing of it runs again and its locks are free. */
  kill(): void {
    this.closed = true
    this.device.releaseLocksOf(this)
  }

  tellConnectivity(online: boolean): void {
    if (this.closed) return
    for (const listener of this.#connectivity) listener(online)
  }

  tellLifecycle(signal: LifecycleSignal): void {
    if (this.closed) return
    for (const listener of this.#lifecycle) listener(signal)
  }

  async #hold<T>(name: string, task: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted()
    const lock = this.device.lock(this, name)
    if (lock.holder) await this.#queue(lock, signal)
    let released = false
    const release = () => {
      if (released) return
      released = true
      lock.holder = undefined
      lock.waiters.shift()?.grant()
    }
    lock.holder = { tab: this, release }
    try {
      return await task()
    } finally {
      release()
    }
  }

  #queue(lock: SimulatedLock, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { tab: this as SimulatedTab, grant: resolve }
      lock.waiters.push(waiter)
      signal?.addEventListener('abort', () => {
        lock.waiters = lock.waiters.filter((other) => other !== waiter)
        reject(signal.reason)
      })
    })
  }
}

function watch<T>(listeners: Set<(value: T) => void>, listener: (value: T) => void): Undo {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Lets everything run that needs no time to pass. */
export async function settle(): Promise<void> {
  for (let rounds = 0; rounds < 4; rounds += 1) await new Promise<void>((resolve) => macrotask(resolve))
}

const macrotask = (callback: () => void): void => {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => void }
  if (setImmediate) setImmediate(callback)
  else setTimeout(callback, 0)
}
