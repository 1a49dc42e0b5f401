import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import type { Database, JsonObject } from '../database/schema.ts'
import type { Collections } from './collections.ts'
import { push } from './push.ts'

const seedFile = z.array(z.record(z.string(), z.unknown()))

/** Loads the documents a collection starts with, once in the life of the database. */
export async function loadSeeds(db: Database, collections: Collections, baseDirectory: string, nowMs: number): Promise<void> {
  for (const { name, scope, seed } of collections.values()) {
    if (seed === undefined) continue
    await db.transaction().execute(async (tx) => {
      const first = await tx
        .insertInto('seeds')
        .values({ collection: name, loaded_at_ms: nowMs })
        .onConflict((conflict) => conflict.doNothing())
        .returning('collection')
        .executeTakeFirst()
      if (!first) return
      const rows = readSeed(resolve(baseDirectory, seed)).map((newDocumentState) => ({ newDocumentState }))
      const { rejected } = await push(tx, { collection: name, scopeKey: scope, userId: null, nowMs }, rows)
      if (rejected[0]) throw new Error(`Seed of "${name}": document "${rejected[0].id}": ${rejected[0].error}`)
    })
  }
}

function readSeed(path: string): readonly JsonObject[] {
  return seedFile.parse(JSON.parse(readFileSync(path, 'utf8')))
}
