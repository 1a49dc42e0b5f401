import type { SyncGuard, WaitOptions } from './guard-api.ts'
import type { Replication } from './replication.ts'
import { SyncError } from './sync-error.ts'
import type { SyncState } from './sync-state.ts'
import { type StateWaitParts, waitForState } from './wait-for-state.ts'

export interface OnePassParts extends StateWaitParts {
  readonly guard: Pick<SyncGuard, 'state' | 'suspend' | 'resume'>
  readonly isPaused: () => boolean
  readonly replications: () => readonly Replication[]
  /** Makes the tab that replicates pull, whichever it is. One that takes over from it begins with a pull. */
  readonly pull: () => void
}

/** Pulls and pushes once, also in an app that has paused sync. */
export async function onePass(parts: OnePassParts, { timeoutMs = 10_000, signal }: WaitOptions): Promise<void> {
  const { guard, replications } = parts
  const wasPaused = parts.isPaused()
  const startedAtMs = parts.world.clock.nowMs()
  const done = ({ pending, collections }: SyncState) =>
    pending.exact &&
    pending.count === 0 &&
    replications().every(({ plan, name }) => !plan.pulls || (collections[name]?.pulledAtMs ?? 0) > startedAtMs)
  try {
    if (wasPaused) await guard.resume()
    parts.pull()
    const stoppedBy = await waitForState(parts, { timeoutMs, signal, done })
    if (stoppedBy === 'done') return
    throw new SyncError('upload-unavailable', `Sync did not complete: ${stoppedBy}.`, { pending: guard.state.pending.count })
  } finally {
    if (wasPaused) await guard.suspend()
  }
}
