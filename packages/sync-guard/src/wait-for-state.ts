import type { World } from '@nightlatch/auth-core/world'
import { filter, firstValueFrom, type Observable, Subscription } from 'rxjs'
import { untilAborted } from './gate.ts'
import type { FlushReport, SyncGuard } from './guard-api.ts'
import { SyncError } from './sync-error.ts'
import type { SyncState } from './sync-state.ts'

export interface StateWaitParts {
  readonly world: World
  readonly state$: Observable<SyncState>
  /** Ends every wait, so that a dead network shows at once. */
  readonly hurry: () => void
}

export interface StateWait {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly done: (state: SyncState) => boolean
}

/** Waits until the state is as wanted, or there is nothing to wait for any more. */
export function waitForState(
  { world, state$, hurry }: StateWaitParts,
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

/** Looks at each change of the state until `fact` holds. */
export async function waitForFact(
  guard: Pick<SyncGuard, 'state' | 'state$'>,
  fact: () => boolean | Promise<boolean>,
  signal?: AbortSignal,
): Promise<void> {
  for (;;) {
    const { state } = guard
    if (await fact()) return
    signal?.throwIfAborted()
    const change = firstValueFrom(guard.state$.pipe(filter((next) => next !== state)), { defaultValue: undefined })
    if (!(await (signal ? untilAborted(change, signal) : change))) throw new SyncError('disposed', 'This guard was disposed.')
  }
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
