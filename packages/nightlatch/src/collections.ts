import type { MigrationStrategies, RxCollection, RxConflictHandler, RxDatabase, RxJsonSchema } from 'rxdb/plugins/core'

/** What a collection holds and where it syncs. */
export interface CollectionSpec {
  // biome-ignore lint/suspicious/noExplicitAny: any document type; `DocumentOf` finds the one it is.
  readonly schema: RxJsonSchema<any>
  /** `true`: this user's own documents. Without it the collection stays on the device. */
  readonly sync?: boolean | SyncScopes
  readonly migrationStrategies?: MigrationStrategies
  // biome-ignore lint/suspicious/noExplicitAny: as RxDB's own collection options.
  readonly conflictHandler?: RxConflictHandler<any>
}

export interface SyncScopes {
  /** Partitions that are pulled, such as `mine`, `public` or `team:blue`. Default `['mine']`. */
  readonly read?: readonly string[]
  /** The partition that local writes go to, or several with a `scopeField`; `false` if there are none. Default `mine`. */
  readonly write?: string | readonly string[] | false
  /** The field of a document that names its partition, where there are several. Documents without it belong to the first of `write`. */
  readonly scopeField?: string
}

export type CollectionSpecs = Readonly<Record<string, CollectionSpec>>

/** The current user's database, typed from the schemas. */
export type DatabaseOf<Specs extends CollectionSpecs> = RxDatabase<{
  [Name in keyof Specs]: RxCollection<DocumentOf<Specs[Name]['schema']>>
}>

/**
 * The document type of a schema: the declared one of an `RxJsonSchema<Note>`, or what a literal schema says (with `as const`, or written in place).
 * A declared schema is told by its properties, whose `type` may be missing.
 */
export type DocumentOf<Schema> = Schema extends { readonly properties: infer Properties }
  ? Properties[keyof Properties] extends { readonly type: unknown }
    ? ObjectOf<Schema>
    : Schema extends RxJsonSchema<infer Document>
      ? Document
      : never
  : never

type ObjectOf<Schema> = Schema extends { readonly properties: infer Properties }
  ? Flat<
      { [Name in keyof Properties as Name extends RequiredOf<Schema> ? Name : never]: ValueOf<Properties[Name]> } & {
        [Name in keyof Properties as Name extends RequiredOf<Schema> ? never : Name]?: ValueOf<Properties[Name]>
      }
    >
  : Record<string, unknown>

/** The primary key is required whether `required` names it or not. */
type RequiredOf<Schema> =
  | (Schema extends { readonly required: readonly (infer Name)[] } ? Name : never)
  | (Schema extends { readonly primaryKey: infer Name extends string } ? Name : never)

type ValueOf<Schema> = Schema extends { readonly enum: readonly (infer Value)[] }
  ? Value
  : Schema extends { readonly type: infer Type }
    ? Type extends readonly (infer Each)[]
      ? ValueOfType<Each, Schema>
      : ValueOfType<Type, Schema>
    : unknown

type ValueOfType<Type, Schema> = Type extends 'string'
  ? string
  : Type extends 'number' | 'integer'
    ? number
    : Type extends 'boolean'
      ? boolean
      : Type extends 'null'
        ? null
        : Type extends 'array'
          ? Schema extends { readonly items: infer Items }
            ? ValueOf<Items>[]
            : unknown[]
          : Type extends 'object'
            ? ObjectOf<Schema>
            : unknown

type Flat<T> = { -readonly [Name in keyof T]: T[Name] }
