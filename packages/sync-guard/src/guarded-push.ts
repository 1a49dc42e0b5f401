import type { ReplicationPushHandler } from 'rxdb/plugins/core'
import type { Conversion } from './conversion.ts'
import type { Freshness } from './freshness.ts'
import type { Lane } from './lane.ts'
import { isOutgrown } from './migrate-state.ts'
import { batchesByBytes } from './push-batches.ts'
import type { RejectedWrites } from './rejected-writes.ts'
import type { AnyCollection, Doc, DocState } from './replication-meta.ts'
import type { GuardedPushHandler, PushAnswer, PushRow, RejectedRow } from './replication-options.ts'
import type { RevokedScopes } from './revoked-scopes.ts'
import type { SentNotes } from './sent-notes.ts'
import type { TellEvent } from './sync-events.ts'

export interface GuardedPushOptions {
  readonly lane: Lane
  readonly handler: GuardedPushHandler<Doc>
  readonly conversion: Conversion
  readonly notes: SentNotes
  readonly freshness: Freshness
  readonly idOf: (document: DocState) => string
  /** Rows that it refuses are set aside without asking the server. */
  readonly scopes: RevokedScopes
  readonly collection: AnyCollection
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
  const { lane, handler, conversion, notes, freshness, idOf, tell, scopes } = options
  const collection = options.collection.name

  /** The master states of rows in conflict, or `undefined` if the gate closed on the way. */
  const deliver = async (rows: PushRow<Doc>[]): Promise<DocState[] | undefined> => {
    const states = new Map(rows.map((row) => [idOf(row.newDocumentState), row.newDocumentState]))
    const ids = new Set(states.keys())
    let converted: Converted = { rows: [] }
    const answer = await lane.send(
      async (context) => {
        if ('failure' in converted) throw converted.failure
        if (converted.rows.length === 0) return NOTHING_AMISS
        notes.markSent(ids)
        const request = Promise.resolve(handler(converted.rows, { ...context, idempotencyKey: notes.key(ids) }))
        return checkedPush(await freshness.sending(ids, request))
      },
      {
        prepare: async () => {
          converted = await rowsToSend(rows).then(
            (ready): Converted => ({ rows: ready }),
            (failure: unknown): Converted => ({ failure }),
          )
          await freshness.written(ids)
          await notes.prepare(states)
        },
        isReady: () => !freshness.isUnwritten(ids),
      },
    )
    switch (answer.kind) {
      case 'closed':
      case 'resync':
        return undefined
      case 'refused':
        return halve(rows, answer.code)
      case 'scope-revoked':
        await scopes.revoke(answer.scopes)
        return deliverAll([await withoutRefused(rows)])
      case 'answered':
        return accept(rows, answer.value)
    }
  }

  /** In the shape of the server. Those that the app's modifier drops count as sent. */
  const rowsToSend = async (rows: PushRow<Doc>[]): Promise<PushRow<Doc>[]> => {
    const sent: PushRow<Doc>[] = []
    for (const row of rows) {
      const newDocumentState = await conversion.write(row.newDocumentState)
      const assumedMasterState = row.assumedMasterState && (await conversion.write(row.assumedMasterState))
      if (newDocumentState) sent.push({ newDocumentState, ...(assumedMasterState && { assumedMasterState }) })
    }
    return sent
  }

  /** Sets aside what the server is not asked for, and answers the others. */
  const withoutRefused = async (rows: PushRow<Doc>[]): Promise<PushRow<Doc>[]> => {
    const refused = rows.flatMap((row) => {
      const code = scopes.refusalOf(row.newDocumentState)
      return code ? [{ row, rejection: { id: idOf(row.newDocumentState), code } }] : []
    })
    if (refused.length === 0) return rows
    const refusedRows = refused.map(({ row }) => row)
    await accept(refusedRows, { conflicts: [], rejected: refused.map(({ rejection }) => rejection) })
    return rows.filter((row) => !refusedRows.includes(row))
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
      if (batch.length === 0) continue
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
    let recognised = 0
    for (const master of conversion.readConflicts(conflicts)) {
      const row = rowOf.get(idOf(master))
      const own = row !== undefined && (await isOwn(master))
      if (own) recognised += 1
      if (!row || !(own || (await isAssumed(row, master)))) foreign.push(master)
      else if (!(await isSame(row.newDocumentState, master))) again.push({ ...row, assumedMasterState: master })
    }
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

  /** Some servers answer with what they were sent, others with what it becomes here. */
  const isSame = async (local: DocState, master: DocState): Promise<boolean> => {
    if (options.isEqual(local, master)) return true
    const [sent] = conversion.readConflicts([(await conversion.write(local)) ?? local])
    return sent !== undefined && options.isEqual(sent, master)
  }

  const isOwn = async (master: DocState): Promise<boolean> => {
    const id = idOf(master)
    for (const sent of notes.sentStates(id)) if (await isSame(sent, master)) return true
    return notes.outgrownStates(id).some((sent) => options.isEqual(sent, master))
  }

  /** The server has what we thought, only in the shape from before an update of the app. */
  const isAssumed = async ({ assumedMasterState: assumed }: PushRow<Doc>, master: DocState): Promise<boolean> => {
    if (!assumed || options.isEqual(assumed, master)) return false
    return isOutgrown(master, assumed, options.collection, options.isEqual)
  }

  return async (captured) => {
    const rows = await withoutRefused(await freshness.stillLocal(captured))
    const conflicts = await deliverAll(batchesByBytes(await options.rejected.restore(rows, idOf), options.maxBytes))
    if (conflicts) return conflicts
    await lane.hold(options.stopped)
    return []
  }
}

/** What a modifier of the app throws is told like a failure of its handler. */
type Converted = { readonly rows: PushRow<Doc>[] } | { readonly failure: unknown }

type CheckedPush = Exclude<PushAnswer<Doc>, unknown[]>
const NOTHING_AMISS: CheckedPush = { conflicts: [], rejected: [] }

function checkedPush(answer: PushAnswer<Doc>): CheckedPush {
  if (Array.isArray(answer)) return { conflicts: answer, rejected: [] }
  if (Array.isArray(answer?.conflicts) && Array.isArray(answer.rejected)) return answer
  throw new TypeError('A push handler answers with an array of conflicts, or with { conflicts, rejected }.')
}
