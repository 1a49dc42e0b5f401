import type { RxCollection, RxJsonSchema } from 'rxdb/plugins/core'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { expectTypeOf, test } from 'vitest'
import { openApp } from './open-app.ts'

interface Note {
  readonly id: string
  readonly text: string
  readonly stars?: number
}

const declared: RxJsonSchema<Note> = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 40 }, text: { type: 'string' }, stars: { type: 'number' } },
  required: ['id', 'text'],
}

const literal = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 40 },
    text: { type: 'string' },
    stars: { type: 'number' },
    sex: { type: ['string', 'null'] },
    tags: { type: 'array', items: { type: 'string' } },
    place: { type: 'object', properties: { north: { type: 'number' } }, required: ['north'] },
    status: { type: 'string', enum: ['open', 'done'] },
  },
  required: ['id', 'text'],
} as const

test('a declared, an `as const` and an inline schema type their collections', () => {
  const open = () =>
    openApp({
      id: 'typed',
      server: 'http://127.0.0.1:1',
      storage: getRxStorageMemory(),
      collections: {
        declared: { schema: declared },
        literal: { schema: literal },
        inline: {
          schema: {
            version: 0,
            primaryKey: 'id',
            type: 'object',
            properties: { id: { type: 'string', maxLength: 40 }, text: { type: 'string' } },
            required: ['id', 'text'],
          },
        },
      },
    })
  type Database = Awaited<ReturnType<Awaited<ReturnType<typeof open>>['openDatabase']>>
  type DocumentIn<Name extends 'declared' | 'literal' | 'inline'> = Database[Name] extends RxCollection<infer Document> ? Document : never

  expectTypeOf<DocumentIn<'declared'>>().toEqualTypeOf<Note>()
  expectTypeOf<DocumentIn<'literal'>['sex']>().toEqualTypeOf<string | null | undefined>()
  expectTypeOf<DocumentIn<'literal'>['status']>().toEqualTypeOf<'open' | 'done' | undefined>()
  expectTypeOf<DocumentIn<'literal'>['tags']>().toEqualTypeOf<string[] | undefined>()
  expectTypeOf<DocumentIn<'inline'>>().toEqualTypeOf<{ id: string; text: string }>()

  const mistakes = async (db: Database) => {
    // @ts-expect-error a number is no text in the declared schema
    await db.declared.insert({ id: '1', text: 3 })
    // @ts-expect-error a number is no text in the `as const` schema
    await db.literal.insert({ id: '1', text: 3 })
    // @ts-expect-error a number is no text in the inline schema
    await db.inline.insert({ id: '1', text: 3 })
    // @ts-expect-error `text` is required
    await db.literal.insert({ id: '1' })
  }
  expectTypeOf(mistakes).toBeFunction()
})
