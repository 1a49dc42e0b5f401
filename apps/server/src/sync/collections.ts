import { Ajv, type ValidateFunction } from 'ajv'
import { z } from 'zod'
import type { JsonObject } from '../database/schema.ts'

/** Whose documents a collection holds: each user's own, everybody's, those of teams. */
const scopeKind = z.enum(['mine', 'public', 'team:*'])
const oneOrMore = <T extends z.ZodType>(schema: T) => z.union([schema.transform((value) => [value]), z.array(schema).min(1)])

/** One collection in the configuration file. */
export const collectionConfig = z
  .strictObject({
    schemaVersion: z.int().min(0),
    /** A client names scopes of these kinds: `mine`, `public`, `team:<id>`. */
    scope: oneOrMore(scopeKind).default(['mine']),
    /** The field that says which scope a document belongs to, where a push may name several. */
    scopeField: z.string().optional(),
    primaryKey: z.string().min(1).default('id'),
    /** Whether clients may push: to every scope, to none, or to these kinds. In a team it takes the role `writer` besides. */
    write: z.union([z.boolean(), z.array(scopeKind)]).default(true),
    /** The RxDB schema, or the path of its JSON file: written documents must fit it. */
    schema: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
    /** A JSON array of documents, loaded once at the first start. */
    seed: z.string().optional(),
  })
  .refine(({ seed, scope }) => seed === undefined || scope.includes('public'), { error: 'needs the scope "public"', path: ['seed'] })

export const collectionName = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/)

export type CollectionConfig = z.output<typeof collectionConfig>
export type ScopeKind = z.output<typeof scopeKind>

/** Decisions that an app makes in code. They run inside the transaction, so they are synchronous and quick. */
export interface CollectionHooks {
  /** A refusal of this one row, which the client keeps as a rejected write. */
  validateWrite?(write: DocumentWrite): WriteRefusal | undefined
  /** A stored document in the shape of today's `schemaVersion`; what has it already is given back as it is. The row is stored anew when it is written. */
  upgrade?(document: JsonObject): JsonObject
  /** Others get the document as deleted, with nothing but its primary key. */
  mayRead?(read: { readonly document: JsonObject; readonly scope: string; readonly userId: string }): boolean
}

export interface DocumentWrite {
  readonly document: JsonObject
  readonly deleted: boolean
  /** What is stored now, if anything. */
  readonly previous: { readonly document: JsonObject; readonly deleted: boolean } | undefined
  /** As the client calls it: `mine`, `team:<id>`. */
  readonly scope: string
  readonly userId: string
}

export interface WriteRefusal {
  readonly code: string
  readonly error: string
}

export interface Collection extends Omit<CollectionConfig, 'schema' | 'seed'> {
  readonly name: string
  readonly hooks: CollectionHooks
  /** Finds what is wrong with a document, naming the place but no value. */
  readonly schemaProblem: (document: JsonObject) => string | undefined
}

export type Collections = ReadonlyMap<string, Collection>

/** A stored state as the app and its hooks of today expect it. */
export function inShapeOfToday<State extends { readonly data: JsonObject }>({ hooks }: Pick<Collection, 'hooks'>, state: State): State {
  return hooks.upgrade ? { ...state, data: hooks.upgrade(state.data) } : state
}

export function writesTo(collection: Collection, kind: ScopeKind): boolean {
  return typeof collection.write === 'boolean' ? collection.write : collection.write.includes(kind)
}

/** RxDB schemas hold keywords of their own (`primaryKey`, `indexes`, `maxLength` of indexes …), so unknown ones are no mistake. */
export function schemaCheck(schema: JsonObject | undefined): (document: JsonObject) => string | undefined {
  if (!schema) return () => undefined
  const ajv = new Ajv({ strict: false, validateFormats: false, validateSchema: false, logger: false })
  const validate: ValidateFunction = ajv.compile(schema)
  return (document) => {
    if (validate(document)) return undefined
    const [problem] = validate.errors ?? []
    return `${problem?.instancePath || 'the document'} ${problem?.message ?? 'does not fit'}`
  }
}
