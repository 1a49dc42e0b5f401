import type { ReplicationPullHandler, ReplicationPullHandlerResult, ReplicationPushHandler } from 'rxdb/plugins/core'
import type { Freshness } from './freshness.ts'
import type { Lane } from './lane.ts'
import { batchesByBytes } from './push-batches.ts'
import type { RejectedWrites } from './rejected-writes.ts'
import type { Doc, DocState } from './replication-meta.ts'
import type { GuardedPullHandler, GuardedPushHandler, PushAnswer, PushRow, RejectedRow } from './replication-options.ts'
import type { Resync, ResyncCause } from './resync.ts'
import type { SentNotes } from './sent-notes.ts'
import type { TellEvent } from './sync-events.ts'

export interface GuardedPullOptions {
  readonly lane: Lane
  readonly handler: GuardedPullHandler<Doc, unknown>
  /** The server has given everything it had. RxDB has not written it yet. */
  readonly onCaughtUp: () => void
  readonly idOf: (document: DocState) => string
  readonly freshness: Freshness
  /** Settles when RxDB has written what was pulled last. */
  readonly written: () => Promise<unknown> | undefined
  /** A resync that the last run left unfinished. */
  readonly unfinished: Resync | undefined
  readonly beginResync: (cause: ResyncCause) => Promise<Resync>
  /** Answers what is to be written as if it had been pulled. */
  readonly finishResync: (resync: Resync) => Promise<DocState[]>
}

/** After the gate has closed a pull answers "nothing new here": RxDB ends the cycle with everything fetched so far fully written. */
export function guardedPull(options: GuardedPullOptions): ReplicationPullHandler<Doc, unknown> {
  const { lane, handler, onCaughtUp, idOf, freshness, written } = options
  let resync = options.unfinished
  let begins = resync !== undefined
  return async (checkpoint, batchSize) => {
    for (;;) {
      const from = begins ? undefined : checkpoint
      const moment = freshness.moment
      const answer = await lane.send(async (context) => checkedPull(await handler(from, batchSize, context)))
      if (answer.kind === 'resync' && from !== undefined) {
        resync = await options.beginResync(answer.why)
        freshness.forget()
        begins = true
        continue
      }
      if (answer.kind !== 'answered') return { documents: [], checkpoint }
      const { documents } = answer.value
      if (await freshness.isStale(documents, moment)) continue
      begins = false
      resync?.see(documents.map(idOf))
      freshness.pulled(documents, written)
      if (documents.length >= batchSize) return answer.value
      onCaughtUp()
      const gone = resync ? await options.finishResync(resync) : []
      resync = undefined
      return gone.length > 0 ? { ...answer.value, documents: [...documents, ...gone] } : answer.value
    }
  }
}

export interface GuardedPushOptions {
  readonly lane: Lane
  readonly handler: GuardedPushHandler<Doc>
  readonly notes: SentNotes
  readonly freshness: Freshness
  readonly idOf: (document: DocState) => string
  /** Rows it says no to are refused without asking the server. */
  readonly writable: ((document: DocState) => boolean) | undefined
  readonly collection: string
  readonly maxBytes: number
  readonly isEqual: (a: DocState, b: DocState) => boolean
  readonly rejected: RejectedWrites
  readonly nowMs: () => number
  /** Resolves when RxDB's replication has stopped, and never before. */
  readonly stopped: Promise<void>
  readonly tell: TellEvent
}

export interface RefusedRow extends RejectedRow {
  readonly row: PushRow<Doc>
}

/**
 * To RxDB an empty answer to a push means "all accepted", so once the gate has closed there is none until RxDB itself has stopped
 * and throws the answer away.
 */
export function guardedPush(options: GuardedPushOptions): ReplicationPushHandler<Doc> {
  const { lane, handler, notes, freshness, idOf, tell, collection, writable = () => true } = options

  /** The master states of rows in conflict, or `undefined` if the gate closed on the way. */
  const deliver = async (rows: PushRow<Doc>[]): Promise<DocState[] | undefined> => {
    const states = new Map(rows.map((row) => [idOf(row.newDocumentState), row.newDocumentState]))
    const answer = await lane.send(
      async (context) => {
        notes.markSent(states.keys())
        const request = Promise.resolve(handler(rows, { ...context, idempotencyKey: notes.key(states.keys()) }))
        return checkedPush(await freshness.sending(states.keys(), request))
      },
      () => notes.prepare(states),
    )
    switch (answer.kind) {
      case 'closed':
        return undefined
      case 'refused':
        return halve(rows, answer.code)
      case 'resync':
        return undefined
      case 'answered':
        return accept(rows, answer.value)
    }
  }

  const halve = async (rows: PushRow<Doc>[], code: string): Promise<DocState[] | undefined> => {
    const [row] = rows
    if (row && rows.length === 1) return accept(rows, { conflicts: [], rejected: [{ id: idOf(row.newDocumentState), code }] })
    const middle = Math.ceil(rows.length / 2)
    return deliverAll([rows.slice(0, middle), rows.slice(middle)])
  }

  const deliverAll = async (batches: PushRow<Doc>[][]): Promise<DocState[] | undefined> => {
    const conflicts: DocState[] = []
    for (const batch of batches) {
      const more = await deliver(batch)
      if (!more) return undefined
      conflicts.push(...more)
    }
    return conflicts
  }

  const accept = async (rows: PushRow<Doc>[], { conflicts, rejected }: CheckedPush): Promise<DocState[] | undefined> => {
    const rowOf = new Map(rows.map((row) => [idOf(row.newDocumentState), row]))
    const foreign: DocState[] = []
    const again: PushRow<Doc>[] = []
    for (const master of conflicts) {
      const row = rowOf.get(idOf(master))
      if (!row || !notes.hasSent(idOf(master), master, options.isEqual)) foreign.push(master)
      else if (!options.isEqual(row.newDocumentState, master)) again.push({ ...row, assumedMasterState: master })
    }
    const recognised = conflicts.length - foreign.length
    if (recognised > 0) tell({ type: 'repeated-push-recognised', collection, documents: recognised })

    const refused = rejected.flatMap(({ id, code }) => {
      const row = rowOf.get(id)
      return row ? [{ id, code, row }] : []
    })
    if (refused.length > 0) await options.rejected.setAside(refused, options.nowMs())
    for (const { id, code } of refused) tell({ type: 'write-rejected', collection, documentId: id, code })

    const open = new Set(again.map((row) => idOf(row.newDocumentState)))
    const settled = [...rowOf.keys()].filter((id) => !open.has(id))
    notes.settle(settled)
    const refusedIds = new Set(refused.map(({ id }) => id))
    await options.rejected.forget(settled.filter((id) => !refusedIds.has(id)))
    if (again.length === 0) return foreign
    const more = await deliver(again)
    return more && [...foreign, ...more]
  }

  return async (captured) => {
    const rows = await freshness.stillLocal(captured)
    const foreign = rows.filter(({ newDocumentState }) => !writable(newDocumentState))
    if (foreign.length > 0) {
      await accept(foreign, {
        conflicts: [],
        rejected: foreign.map((row) => ({ id: idOf(row.newDocumentState), code: 'read_only_scope' })),
      })
    }
    const mine = rows.filter(({ newDocumentState }) => writable(newDocumentState))
    const conflicts = await deliverAll(batchesByBytes(await options.rejected.restore(mine, idOf), options.maxBytes))
    if (conflicts) return conflicts
    await lane.hold(options.stopped)
    return []
  }
}

type CheckedPush = Exclude<PushAnswer<Doc>, unknown[]>

function checkedPush(answer: PushAnswer<Doc>): CheckedPush {
  if (Array.isArray(answer)) return { conflicts: answer, rejected: [] }
  if (Array.isArray(answer?.conflicts) && Array.isArray(answer.rejected)) return answer
  throw new TypeError('A push handler answers with an array of conflicts, or with { conflicts, rejected }.')
}

function checkedPull(answer: ReplicationPullHandlerResult<Doc, unknown>): ReplicationPullHandlerResult<Doc, unknown> {
  if (Array.isArray(answer?.documents)) return answer
  throw new TypeError('A pull handler answers with { documents, checkpoint }.')
}
