import type { RxDocumentData, RxJsonSchema } from 'rxdb/plugins/core'
import type { Doc, DocState } from './replication-meta.ts'

export type Schema = RxJsonSchema<RxDocumentData<Doc>>

const RXDB_FIELDS: ReadonlySet<string> = new Set(['_deleted', '_meta', '_rev', '_attachments'])

/** A deleted document without its content: keys and indexed fields stay, because storages need them; what else is required is there and says nothing. */
export function emptied(schema: Schema, document: Doc): DocState {
  const kept = keptFields(schema)
  const state: DocState = { _deleted: true }
  for (const field of kept) if (document[field] !== undefined) state[field] = document[field]
  const required = (schema.required ?? []).map(String).filter((field) => !kept.has(field) && !RXDB_FIELDS.has(field))
  for (const field of required) if (document[field] !== undefined) state[field] = nothing(schema.properties[field])
  return state
}

function keptFields({ primaryKey, indexes = [] }: Schema): ReadonlySet<string> {
  const keys = typeof primaryKey === 'string' ? [primaryKey] : [primaryKey.key, ...primaryKey.fields]
  const fields = [...keys, ...indexes.flat()].map((path) => String(path).split('.')[0] ?? '')
  return new Set(fields.filter((field) => !RXDB_FIELDS.has(field)))
}

interface ValueSchema {
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, ValueSchema>>
}

/** A value that fits the schema as far as one can be made up. */
function nothing(schema: ValueSchema | undefined): unknown {
  if (!schema) return null
  if ('const' in schema) return schema.const
  if (schema.enum) return schema.enum[0]
  const types = [schema.type ?? []].flat()
  switch (types.includes('null') ? 'null' : (types[0] ?? 'null')) {
    case 'string':
      return ' '.repeat(schema.minLength ?? 0)
    case 'number':
    case 'integer':
      return Math.min(Math.max(0, schema.minimum ?? 0), schema.maximum ?? Infinity)
    case 'boolean':
      return false
    case 'array':
      return []
    case 'object':
      return Object.fromEntries((schema.required ?? []).map((field) => [field, nothing(schema.properties?.[field])]))
    default:
      return null
  }
}
