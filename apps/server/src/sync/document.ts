import { isDeepStrictEqual } from 'node:util'
import type { JsonObject } from '../database/schema.ts'
import { isStorable } from '../http/text.ts'

/** A document as RxDB sends it: its fields and `_deleted`. */
export interface DocumentState extends StoredState {
  readonly id: string
}

export interface StoredState {
  readonly deleted: boolean
  readonly data: JsonObject
}

export interface RowProblem {
  readonly code: string
  readonly error: string
}

const MAX_ID_LENGTH = 256
const MAX_DEPTH = 64
/** Written by RxDB for itself. */
const ownFields = new Set(['_deleted', '_rev', '_meta', '_attachments'])

export function readDocument(value: JsonObject, primaryKey: string): DocumentState | RowProblem {
  const id = value[primaryKey]
  if (typeof id !== 'string' || id === '' || id.length > MAX_ID_LENGTH || !isStorable(id)) {
    return { code: 'invalid_id', error: `"${primaryKey}" must be text of 1 to ${MAX_ID_LENGTH} characters.` }
  }
  const data = Object.fromEntries(Object.entries(value).filter(([field]) => !ownFields.has(field)))
  return contentProblem(data) ?? { id, deleted: value._deleted === true, data }
}

export function writeDocument({ deleted, data }: StoredState): JsonObject {
  return { ...data, _deleted: deleted }
}

export function isSameState(a: StoredState, b: StoredState): boolean {
  return a.deleted === b.deleted && isDeepStrictEqual(a.data, b.data)
}

/** What jsonb cannot hold, found without recursion so that nesting cannot exhaust the stack. */
function contentProblem(data: JsonObject): RowProblem | undefined {
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value: data, depth: 0 }]
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, depth } = next
    if (typeof value === 'string' && !isStorable(value)) return unstorable
    if (typeof value !== 'object' || value === null) continue
    if (depth > MAX_DEPTH) return { code: 'too_deep', error: `The document is nested more than ${MAX_DEPTH} levels deep.` }
    for (const [field, inner] of Object.entries(value)) {
      if (!isStorable(field)) return unstorable
      open.push({ value: inner, depth: depth + 1 })
    }
  }
  return undefined
}

const unstorable: RowProblem = { code: 'unstorable_text', error: 'The document holds a NUL character or half a surrogate pair.' }
