import type { JsonObject } from '../database/schema.ts'
import type { Collection } from './collections.ts'
import { type DocumentState, isSameState, type RowProblem, readDocument, type StoredState, writeDocument } from './document.ts'

/** One row of a push, as RxDB sends it. */
export interface PushRow {
  readonly newDocumentState: JsonObject
  readonly assumedMasterState?: JsonObject | null | undefined
}

export interface RejectedRow extends RowProblem {
  readonly id: string
}

/** A row whose new state can be stored. */
export interface ReadRow {
  readonly next: DocumentState
  readonly assumed: JsonObject | null | undefined
}

/** What a push does to the documents as they are now. */
export interface PushPlan {
  /** In this order; each gets the next number of the scope's counter. */
  readonly writes: readonly DocumentState[]
  /** The stored states that the client did not know of. Data, not an error. */
  readonly conflicts: readonly JsonObject[]
  readonly rejected: readonly RejectedRow[]
}

/** Who pushes where. */
export interface PushContext {
  readonly collection: Pick<Collection, 'primaryKey' | 'hooks' | 'schemaProblem'>
  readonly scope: string
  readonly userId: string
}

/** Takes the rows apart; those that cannot be stored are rejected. */
export function readRows(
  rows: readonly PushRow[],
  primaryKey: string,
): { readonly read: readonly ReadRow[]; readonly rejected: readonly RejectedRow[] } {
  const read: ReadRow[] = []
  const rejected: RejectedRow[] = []
  for (const { newDocumentState, assumedMasterState } of rows) {
    const next = readDocument(newDocumentState, primaryKey)
    if ('code' in next) rejected.push({ id: rowId(newDocumentState, primaryKey), ...next })
    else read.push({ next, assumed: assumedMasterState })
  }
  return { read, rejected }
}

/**
 * Sorts the rows of a push to one scope. A row whose new state is already stored was pushed before and is done: repeating a push changes nothing.
 * Later rows of the same document see what earlier ones wrote.
 */
export function planPush(rows: readonly ReadRow[], stored: ReadonlyMap<string, StoredState>, context: PushContext): PushPlan {
  const { collection, scope, userId } = context
  const current = new Map(stored)
  const writes: DocumentState[] = []
  const conflicts: JsonObject[] = []
  const rejected: RejectedRow[] = []

  for (const { next, assumed } of rows) {
    const master = current.get(next.id)
    if (master && isSameState(master, next)) continue
    const problem = rowProblem(next, master, context)
    if (problem) {
      rejected.push({ id: next.id, ...problem })
    } else if (master && !isAssumed(master, assumed, collection.primaryKey)) {
      conflicts.push(readableState(collection, next.id, master, { scope, userId }))
    } else {
      current.set(next.id, next)
      writes.push(next)
    }
  }
  return { writes, conflicts, rejected }
}

/** What a user sees of a document: others' is deleted, with nothing but its primary key. */
export function readableState(
  { primaryKey, hooks }: Pick<Collection, 'primaryKey' | 'hooks'>,
  id: string,
  state: StoredState,
  reader: { readonly scope: string; readonly userId: string },
): JsonObject {
  const mayRead = hooks.mayRead?.({ document: state.data, ...reader }) ?? true
  return mayRead ? writeDocument(state) : { [primaryKey]: id, _deleted: true }
}

function rowProblem(
  next: DocumentState,
  master: StoredState | undefined,
  { collection, scope, userId }: PushContext,
): RowProblem | undefined {
  const { hooks, schemaProblem } = collection
  if (master && hooks.mayRead?.({ document: master.data, scope, userId }) === false) {
    return { code: 'not_permitted', error: 'This document belongs to somebody else.' }
  }
  const mismatch = next.deleted ? undefined : schemaProblem(next.data) // RxDB may strip a deleted document
  if (mismatch !== undefined) return { code: 'schema_mismatch', error: `The document does not fit the schema: ${mismatch}.` }
  return hooks.validateWrite?.({
    document: next.data,
    deleted: next.deleted,
    previous: master && { document: master.data, deleted: master.deleted },
    scope,
    userId,
  })
}

/** A client that assumes a state where there is none lost a document to a purge: its state is welcome. */
function isAssumed(master: StoredState, assumed: JsonObject | null | undefined, primaryKey: string): boolean {
  if (!assumed) return false
  const state = readDocument(assumed, primaryKey)
  return !('code' in state) && isSameState(master, state)
}

/** So that the client can tell which row was meant, however odd its id is. */
function rowId(state: JsonObject, primaryKey: string): string {
  const id = state[primaryKey]
  return typeof id === 'string' ? id : ''
}
