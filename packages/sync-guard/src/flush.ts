import type { World } from '@nightlatch/auth-core/world'
import { type Observable, Subscription } from 'rxjs'
import type { FlushOptions, FlushReport } from './guard-api.ts'
import type { SyncState } from './sync-state.ts'

export interface FlushParts {
  readonly world: World
  readonly state$: Observable<SyncState>
  /** Counts from storage. */
  readonly count: () => Promise<number>
  /** Ends every wait, so that a dead network shows at once. */
  readonly hurry: () => void
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

export interface StateWait {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly done: (state: SyncState) => boolean
}

/** Waits until the state is as wanted, or there is nothing to wait for any more. */
export function waitForState(
  { world, state$, hurry }: Omit<FlushParts, 'count'>,
  { timeoutMs, signal, done }: StateWait,
): Promise<FlushReport['stoppedBy']> {
  return new Promise((resolve) => {
    const waiting = new Subscription()
    const stop = (stoppedBy: FlushReport['stoppedBy']) => {
      waiting.unsubscribe()
      resolve(stoppedBy)
    }
    const abort = () => stop('aborted')
    signal?.addEventListener('abort', abort, { once: true })
    waiting.add(() => signal?.removeEventListener('abort', abort))
    waiting.add(world.timers.start(timeoutMs, () => stop('timeout')))
    if (signal?.aborted) return abort()

    let first: SyncState | undefined
    waiting.add(
      state$.subscribe({
        next: (state) => {
          first ??= state
          const over = done(state) ? 'done' : trouble(state, first)
          if (over) stop(over)
        },
        complete: () => stop('halted'), // the guard was disposed
      }),
    )
    if (!waiting.closed) hurry()
  })
}

/** Why waiting is of no use. Trouble that was there before the hurry is given one more try. */
function trouble(state: SyncState, first: SyncState): FlushReport['stoppedBy'] | undefined {
  switch (state.kind) {
    case 'login-required':
      return 'login-required'
    case 'halted':
    case 'halting':
      return 'halted'
    case 'offline':
      return first.kind === 'offline' && first.retryAtMs === state.retryAtMs ? undefined : 'offline'
    case 'blocked':
      return 'blocked'
    case 'idle':
    case 'syncing':
    case 'synced':
    case 'refreshing':
      return undefined
  }
}
