import type { FlushOptions, FlushReport } from './guard-api.ts'
import type { SyncState } from './sync-state.ts'
import { type StateWaitParts, waitForState } from './wait-for-state.ts'

export interface FlushParts extends StateWaitParts {
  /** Counts from storage. */
  readonly count: () => Promise<number>
}

/** Waits for the running sync to upload what is pending. Not by RxDB's `awaitInSync`: that one resolves while paused and never when offline. */
export async function flush(parts: FlushParts, { timeoutMs = 10_000, signal, onProgress }: FlushOptions): Promise<FlushReport> {
  const before = await parts.count()
  if (before === 0) return { uploaded: 0, pending: 0, stoppedBy: 'done' }
  const done = ({ pending }: SyncState) => {
    onProgress?.({ uploaded: Math.max(0, before - pending.count), pending: pending.count })
    return pending.exact && pending.count === 0
  }
  const stoppedBy = await waitForState(parts, { timeoutMs, signal, done })
  const pending = await parts.count()
  return { uploaded: Math.max(0, before - pending), pending, stoppedBy: pending === 0 ? 'done' : stoppedBy }
}
