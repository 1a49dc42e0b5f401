import type { World } from '@nightlatch/auth-core/world'
import type { RxReplicationState } from 'rxdb/plugins/replication'
import type { Gate } from './gate.ts'
import type { SyncPolicy } from './policy.ts'
import type { Doc } from './replication-meta.ts'

/** A replication as halting sees it. */
export interface Haltable {
  readonly state: RxReplicationState<Doc, unknown>
  /** Pushes on their way, and pushes held back. */
  readonly push: { readonly inFlight: number; readonly parked: number } | undefined
}

/**
 * Stops replications such that nothing of the old session is sent or written afterwards and nothing half done is left. The order matters:
 * RxDB's `cancel()` awaits neither requests nor local writes in flight, and after it what was pulled is written without RxDB remembering that it was.
 */
export async function halt(replications: readonly Haltable[], gate: Gate, world: World, policy: Required<SyncPolicy>): Promise<void> {
  const within = (deadlineMs: number, work: Promise<unknown>) => settledWithin(work, deadlineMs, world)
  const each = (step: (replication: Haltable) => Promise<unknown>) => Promise.all(replications.map(step))

  gate.close()
  const cut = world.timers.start(policy.pushDeadlineMs, () => gate.cutOff())
  await within(
    policy.storageDeadlineMs,
    each(({ state }) => state.startQueue),
  )
  await within(
    policy.pushDeadlineMs + policy.storageDeadlineMs,
    each((replication) => quiet(replication, world)),
  )
  cut()
  gate.cutOff()
  await within(
    policy.storageDeadlineMs,
    each(async ({ state }) => state.internalReplicationState?.checkpointQueue),
  )
  await within(
    policy.storageDeadlineMs,
    each(({ state }) => state.cancel()),
  )
  await within(
    policy.storageDeadlineMs,
    each(({ state }) => drained(state)),
  )
}

/**
 * Resolves when a replication has nothing left to do: the downstream is idle, and the upstream is idle too or holds its next push back, which
 * proves that the one before is acknowledged, because RxDB pushes one batch after the other.
 */
async function quiet({ state, push }: Haltable, world: World): Promise<void> {
  const internal = state.internalReplicationState
  if (!internal) return
  const held = () => push !== undefined && push.inFlight === 0 && push.parked > 0
  for (;;) {
    const { up, down } = internal.streamQueue
    const upIdle = flag(up)
    const downIdle = flag(down)
    while (!(downIdle.done && (upIdle.done || held()))) {
      await Promise.race([pause(5, world), ...(downIdle.done ? [] : [down]), ...(upIdle.done ? [] : [up])])
      if (state.isStopped()) return
    }
    await pause(0, world) // events on their way between RxDB's queues get there
    if (internal.streamQueue.down === down && (internal.streamQueue.up === up || held())) return
  }
}

/** After `cancel()` held pushes are let go and RxDB throws their answers away; wait until it has. */
async function drained(state: RxReplicationState<Doc, unknown>): Promise<void> {
  const queues = state.internalReplicationState?.streamQueue
  await Promise.allSettled([queues?.up, queues?.down])
}

function flag(work: Promise<unknown>): { readonly done: boolean } {
  const state = { done: false }
  const finish = () => {
    state.done = true
  }
  work.then(finish, finish)
  return state
}

function pause(delayMs: number, world: World): Promise<void> {
  return new Promise((resolve) => void world.timers.start(delayMs, resolve))
}

/** Resolves when `work` settles or the time is up, and tells which. */
export function settledWithin(work: Promise<unknown>, deadlineMs: number, world: World): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = world.timers.start(deadlineMs, () => resolve(false))
    const finish = () => {
      stop()
      resolve(true)
    }
    work.then(finish, finish)
  })
}
