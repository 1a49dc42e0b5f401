import type { ReplicationPullHandler, ReplicationPullHandlerResult } from 'rxdb/plugins/core'
import type { Conversion } from './conversion.ts'
import type { Freshness } from './freshness.ts'
import type { Lane } from './lane.ts'
import type { Doc, DocState } from './replication-meta.ts'
import type { GuardedPullHandler } from './replication-options.ts'
import type { Resync, ResyncCause } from './resync.ts'
import type { RevokedScopes } from './revoked-scopes.ts'

export interface GuardedPullOptions {
  readonly lane: Lane
  readonly handler: GuardedPullHandler<Doc, unknown>
  readonly conversion: Conversion
  /** The server has given everything it had. RxDB has not written it yet. */
  readonly onCaughtUp: () => void
  readonly idOf: (document: DocState) => string
  readonly freshness: Freshness
  readonly scopes: RevokedScopes
  /** Settles when RxDB has written what was pulled last. */
  readonly written: () => Promise<unknown> | undefined
  /** A resync that the last run left unfinished. */
  readonly unfinished: Resync | undefined
  readonly beginResync: (cause: ResyncCause) => Promise<Resync>
  readonly finishResync: (resync: Resync) => Promise<void>
}

/** After the gate has closed a pull answers "nothing new here": RxDB ends the cycle with everything fetched so far fully written. */
export function guardedPull(options: GuardedPullOptions): ReplicationPullHandler<Doc, unknown> {
  const { lane, handler, conversion, onCaughtUp, idOf, freshness, scopes, written, beginResync, finishResync } = options
  let resync = options.unfinished
  let begins = resync !== undefined

  const beginAnew = async (cause: ResyncCause) => {
    resync = await beginResync(cause)
    freshness.forget()
    begins = true
  }

  return async (checkpoint, batchSize) => {
    for (;;) {
      if (scopes.needsResync && !resync) await beginAnew('scope-revoked')
      const from = begins ? undefined : scopes.restart(checkpoint)
      const moment = freshness.moment
      const answer = await lane.send(async (context) => {
        const { documents, ...rest } = checkedPull(await handler(from, batchSize, context))
        return { ...rest, documents: await conversion.read(documents), scopes: context.scopes }
      })
      if (answer.kind === 'scope-revoked') {
        await scopes.revoke(answer.scopes)
        continue
      }
      if (answer.kind === 'resync' && from !== undefined) {
        await beginAnew(answer.why)
        continue
      }
      if (answer.kind !== 'answered') return { documents: [], checkpoint }
      const { documents, checkpoint: next } = answer.value
      if (await freshness.isStale(documents, moment)) continue
      begins = false
      resync?.see(documents.map(idOf))
      freshness.pulled(documents, written)
      scopes.pulled(answer.value.scopes, Promise.resolve().then(written))
      if (documents.length < batchSize) {
        onCaughtUp()
        if (resync) await finishResync(resync)
        resync = undefined
      }
      return { documents, checkpoint: next }
    }
  }
}

function checkedPull(answer: ReplicationPullHandlerResult<Doc, unknown>): ReplicationPullHandlerResult<Doc, unknown> {
  if (Array.isArray(answer?.documents)) return answer
  throw new TypeError('A pull handler answers with { documents, checkpoint }.')
}
