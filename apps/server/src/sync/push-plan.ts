import type { JsonObject } from '../database/schema.ts'
import { type DocumentState, isSameState, type RowProblem, readDocument, writeDocument } from './document.ts'

/** One row of a push, as RxDB sends it. */
export interface PushRow {
  readonly newDocumentState: JsonObject
  readonly assumedMasterState?: JsonObject | null | undefined
}

export interface RejectedRow extends RowProblem {
  readonly id: string
}

/** What a push does to the documents as they are now. */
export interface PushPlan {
  /** In this order; each gets the next number of the scope's counter. */
  readonly writes: readonly DocumentState[]
  /** The stored states that the client did not know of. Data, not an error. */
  readonly conflicts: readonly JsonObject[]
  readonly rejected: readonly RejectedRow[]
}

type Stored = ReadonlyMap<string, Omit<DocumentState, 'id'>>

/**
 * Sorts the rows of a push. A row whose new state is already stored was pushed before and is done: repeating a push changes nothing.
 * Later rows of the same document see what earlier ones wrote.
 */
export function planPush(rows: readonly PushRow[], stored: Stored): PushPlan {
  const current = new Map(stored)
  const writes: DocumentState[] = []
  const conflicts: JsonObject[] = []
  const rejected: RejectedRow[] = []

  for (const { newDocumentState, assumedMasterState } of rows) {
    const next = readDocument(newDocumentState)
    if ('code' in next) {
      rejected.push({ id: rowId(newDocumentState), ...next })
      continue
    }
    const master = current.get(next.id)
    if (master && isSameState(master, next)) continue
    if (master && !isAssumed(master, assumedMasterState)) {
      conflicts.push(writeDocument(master))
      continue
    }
    current.set(next.id, next)
    writes.push(next)
  }
  return { writes, conflicts, rejected }
}

/** The ids whose stored states `planPush` needs. */
export function pushedIds(rows: readonly PushRow[]): readonly string[] {
  const ids = rows.map(({ newDocumentState }) => readDocument(newDocumentState)).flatMap((state) => ('code' in state ? [] : [state.id]))
  return [...new Set(ids)]
}

/** A client that assumes a state where there is none lost a document to a purge: its state is welcome. */
function isAssumed(master: Omit<DocumentState, 'id'>, assumed: JsonObject | null | undefined): boolean {
  if (!assumed) return false
  const state = readDocument(assumed)
  return !('code' in state) && isSameState(master, state)
}

/** So that the client can tell which row was meant, however odd its id is. */
function rowId(state: JsonObject): string {
  return typeof state.id === 'string' ? state.id : ''
}
