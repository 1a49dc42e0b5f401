import type { Clock } from '@nightlatch/auth-core/world'
import { from, Observable } from 'rxjs'
import { onAbort } from './gate.ts'
import type { Lane, SendContext } from './lane.ts'
import type { Pacer } from './pacer.ts'
import type { GuardedStream, StreamItem } from './replication-options.ts'
import type { RevokedScopes } from './revoked-scopes.ts'
import { HttpFailure } from './sync-failure.ts'

/** A connection that lived this long was a good one, however it ended: connect again without a pause. */
const GOOD_AFTER_MS = 5_000

export interface StreamOptions<Doc, Checkpoint> {
  readonly connect: GuardedStream<Doc, Checkpoint>
  readonly lane: Lane
  /** While requests to the origin fail no connection is tried; a stream is never the probe, it gives no verdict until it ends. */
  readonly origin: Pacer
  readonly scopes: RevokedScopes
  readonly closing: AbortSignal
  readonly clock: Clock
}

/**
 * The server's change stream as RxDB wants it: connected only with a valid token, connected again after every end, never an error.
 * After each reconnection RxDB pulls, because nobody knows what was missed.
 */
export function guardedStream<Doc, Checkpoint>(options: StreamOptions<Doc, Checkpoint>): Observable<StreamItem<Doc, Checkpoint>> {
  const { connect, lane, origin, scopes, closing, clock } = options
  return new Observable((subscriber) => {
    const ended = new AbortController()
    const stopFollowing = onAbort(closing, () => ended.abort(closing.reason))

    const listen = (context: SendContext) =>
      new Promise<void>((resolve, reject) => {
        const connectedAtMs = clock.monotonicMs()
        const over = (error: Error) => (clock.monotonicMs() - connectedAtMs > GOOD_AFTER_MS ? resolve() : reject(error))
        const subscription = from(connect({ ...context, signal: ended.signal })).subscribe({
          next: (item) => {
            if (!ended.signal.aborted) subscriber.next(item)
          },
          error: over,
          complete: () => over(new HttpFailure('unreadable')),
        })
        onAbort(ended.signal, () => {
          subscription.unsubscribe()
          resolve()
        })
      })

    const run = async () => {
      for (let connection = 1; !ended.signal.aborted; connection += 1) {
        await origin.clear(ended.signal)
        if (connection > 1 && !ended.signal.aborted) subscriber.next('RESYNC')
        const answer = await lane.send(listen)
        if (answer.kind === 'scope-revoked') await scopes.revoke(answer.scopes)
        else scopes.askAgain()
      }
    }
    void run().finally(() => {
      stopFollowing()
      subscriber.complete()
    })
    return () => ended.abort()
  })
}
