import type { Conductor } from './conductor.ts'
import type { EndOptions, EndReport, FlushOptions, FlushReport } from './guard-api.ts'
import { type SyncPolicy, tabDeadlineMs } from './policy.ts'
import { SyncError } from './sync-error.ts'
import type { TellEvent } from './sync-events.ts'
import type { Tabs } from './tabs.ts'
import { appOutdated } from './user-database.ts'

export interface LeaveParts {
  readonly conductor: Conductor
  readonly tabs: Tabs
  readonly policy: Required<SyncPolicy>
  readonly tell: TellEvent
  readonly flush: (options: FlushOptions) => Promise<FlushReport>
  readonly refuseWrites: () => Promise<void>
  /** Exact while nobody writes. Refused writes count: they too would be lost. */
  readonly countLeft: () => Promise<number>
  readonly discard: () => Promise<void>
  readonly closeUser: (options: { readonly remove: boolean }) => Promise<void>
  /** Takes back here that the user is leaving. */
  readonly stay: () => Promise<void>
}

/** The current user leaves, in all tabs; or nothing has changed. */
export async function leave(parts: LeaveParts, { unsynced = 'keep', by = 'leave', ...options }: EndOptions): Promise<EndReport> {
  const { conductor, tabs, policy, tell } = parts
  const { session, user } = conductor
  if (!session || user === undefined || conductor.leaving) return NOTHING_TO_END
  if (conductor.outdated) throw appOutdated() // only the newer version can count what is left
  const { refusePending = session.canKeep === false, rehearsal = false, timeoutMs, signal } = options
  signal?.throwIfAborted()
  const waiting = { ...(timeoutMs !== undefined && { timeoutMs }), ...(signal && { signal }) }
  const uploaded = unsynced === 'upload' ? (await parts.flush(waiting)).uploaded : 0
  signal?.throwIfAborted()

  conductor.leaving = by
  const [unknownOutcome, silentTabs] = await Promise.all([conductor.reconcile(), tabs.ask({ kind: 'leave', user }, tabDeadlineMs(policy))])
  try {
    await parts.refuseWrites()
    if (silentTabs > 0) await conductor.fenceOff()
    const left = await parts.countLeft()
    if (left > 0 && refusePending && unsynced !== 'discard') throw pendingWrites(left)
    if (rehearsal) {
      await goOn(parts, user)
      return { uploaded, kept: left, discarded: 0, unknownOutcome, silentTabs }
    }
    if (unsynced === 'discard') await parts.discard()
    await parts.closeUser({ remove: session.canKeep === false })
    tabs.tell({ kind: 'left', user })
    const [kept, discarded] = unsynced === 'discard' ? [0, left] : [left, 0]
    tell({ type: 'ended', userId: session.userId, kept, discarded })
    return { uploaded, kept, discarded, unknownOutcome, silentTabs }
  } catch (error) {
    await goOn(parts, user)
    if (error instanceof SyncError && error.pending !== undefined) tell({ type: 'leave-refused', pending: error.pending })
    throw error
  }
}

/** In all tabs, as if nobody had wanted to leave. */
async function goOn({ tabs, policy, stay }: LeaveParts, user: string): Promise<void> {
  await Promise.all([stay(), tabs.ask({ kind: 'stay', user }, policy.tabDeadlineMs)])
}

const NOTHING_TO_END: EndReport = { uploaded: 0, kept: 0, discarded: 0, unknownOutcome: 0, silentTabs: 0 }

function pendingWrites(pending: number): SyncError {
  const message = `${pending} writes were not uploaded, and nobody could open them again after this user has left. Upload or discard them.`
  return new SyncError('pending-writes', message, { pending })
}
