import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Database, JsonObject } from '../database/schema.ts'
import type { Collection } from './collections.ts'
import { readDocument } from './document.ts'
import { lockHead, writeDocuments } from './push.ts'

const seedFile = z.array(z.record(z.string(), z.unknown()))

/** Documents that a collection starts with: all of them in scope `public`. */
export interface Seed {
  readonly collection: Collection
  readonly path: string
}

/** Loads each seed once in the life of the database. */
export async function loadSeeds(db: Database, seeds: readonly Seed[], nowMs: number): Promise<void> {
  for (const { collection, path } of seeds) {
    await db.transaction().execute(async (tx) => {
      const first = await tx
        .insertInto('seeds')
        .values({ collection: collection.name, loaded_at_ms: nowMs })
        .onConflict((conflict) => conflict.doNothing())
        .returning('collection')
        .executeTakeFirst()
      if (!first) return
      const place = { collection: collection.name, scopeKey: 'public' }
      const documents = readSeed(path).map((document) => checked(document, collection))
      await writeDocuments(tx, { ...place, head: await lockHead(tx, place), nowMs, userId: null }, documents)
    })
  }
}

function checked(document: JsonObject, { name, primaryKey, schemaProblem }: Collection) {
  const state = readDocument(document, primaryKey)
  const problem = 'code' in state ? state.error : schemaProblem(state.data)
  if ('code' in state || problem !== undefined) throw new Error(`Seed of "${name}": ${problem}`)
  return state
}

function readSeed(path: string): readonly JsonObject[] {
  return seedFile.parse(JSON.parse(readFileSync(path, 'utf8')))
}
