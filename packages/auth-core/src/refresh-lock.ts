import { type AppContext, isHeartbeat } from './app-context.ts'

const BEAT_MS = 1_000
const SILENT_MS = 5_000

/**
 * Runs `task` alone among the tabs as far as that can be had. A holder that shows signs of life is waited for; one that is silent for 5 seconds
 * (frozen, in the back-forward cache, dead without the browser noticing) is passed by, because a lock only saves a request (S3, S4).
 */
export async function holdWhileAlive<T>(context: AppContext, what: string, task: () => Promise<T>): Promise<T> {
  const { world, channel, requestTimeoutMs } = context
  const lock = context.lockName(what)
  const { clock, timers } = world
  const waitingSinceMs = clock.monotonicMs()
  let heardAtMs = waitingSinceMs
  let granted = false
  const passBy = new AbortController()

  const deafen = channel.listen((message) => {
    if (isHeartbeat(message) && message.lock === lock) heardAtMs = clock.monotonicMs()
  })
  let stopWatch = () => {}
  const watch = () => {
    const nowMs = clock.monotonicMs()
    if (nowMs - heardAtMs >= SILENT_MS || nowMs - waitingSinceMs >= requestTimeoutMs + BEAT_MS) passBy.abort()
    else stopWatch = timers.start(BEAT_MS, watch)
  }
  stopWatch = timers.start(BEAT_MS, watch)
  const stopWaiting = () => {
    stopWatch()
    deafen()
  }

  try {
    return await world.locks.hold(
      lock,
      () => {
        granted = true
        stopWaiting()
        return withHeartbeat(context, lock, task)
      },
      { signal: passBy.signal },
    )
  } catch (error) {
    if (granted || !passBy.signal.aborted) throw error
    return await withHeartbeat(context, lock, task)
  } finally {
    stopWaiting()
  }
}

async function withHeartbeat<T>({ channel, world }: AppContext, lock: string, task: () => Promise<T>): Promise<T> {
  let stop = () => {}
  const beat = () => {
    channel.post({ type: 'heartbeat', lock })
    stop = world.timers.start(BEAT_MS, beat)
  }
  beat()
  try {
    return await task()
  } finally {
    stop()
  }
}

/** Whether the tab that held `tabLock` can no longer finish what it began. Without locks between tabs: whether it had the time to. */
export async function isTabGone({ world, tabLock }: AppContext, ownerLock: string, begunAtMs: number): Promise<boolean> {
  if (ownerLock === tabLock) return false
  if (!world.locks.acrossTabs) return world.clock.nowMs() - begunAtMs >= SILENT_MS
  return (await world.locks.holdIfFree(ownerLock, async () => {})).held
}
