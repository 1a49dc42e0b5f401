import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { loadConfig } from '../config.ts'
import { migrateToLatest } from '../database/migrate.ts'
import { openDatabase } from '../database/open-database.ts'
import { readServerIdentity } from '../database/server-identity.ts'
import { silentLog } from '../log.ts'
import { temporaryDataDir } from '../testing/temporary-data-dir.ts'
import { startTemporaryPostgres } from '../testing/temporary-postgres.ts'
import { testEngines } from '../testing/test-server.ts'
import type { Checkpoint } from './checkpoint.ts'
import { pull } from './pull.ts'
import { push } from './push.ts'

const WRITERS = 12
const PUSHES_EACH = process.env.NIGHTLATCH_DEEP ? 200 : 25
const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

describe.each(testEngines)('on %s', (engine) => {
  test('twelve writers with transactions of random length and a live puller: no row is never pulled', { timeout: 120_000 }, async () => {
    const directory = await temporaryDataDir({ withDatabase: engine === 'pglite' })
    undo.push(directory.remove)
    const postgres = engine === 'postgresql' ? await startTemporaryPostgres() : undefined
    undo.push(() => postgres?.stop())
    const place = { dataDir: directory.path, databaseUrl: await postgres?.createDatabase(), poolSize: WRITERS + 1 }
    const { db, close } = await openDatabase(place, silentLog)
    undo.push(close)
    await migrateToLatest(db)
    await readServerIdentity(db, undefined, 0)
    const collection = loadConfig({ collections: { notes: { schemaVersion: 0, scope: 'public' } } }).collections.get('notes')
    if (!collection) throw new Error('no collection')
    const scopes = [{ alias: 'public', key: 'public', writable: true }]
    const target = { collection, scopes, userId: 'u', nowMs: 0 }

    const write = async (writer: number) => {
      for (let n = 0; n < PUSHES_EACH; n++) {
        const rows = [0, 1, 2].map((row) => ({ newDocumentState: { id: `${writer}-${n}-${row}` } }))
        await db.transaction().execute(async (tx) => {
          if (engine === 'postgresql') await delay(Math.random() * 8)
          await push(tx, target, rows)
          if (engine === 'postgresql') await delay(Math.random() * 4)
        })
      }
    }
    let writing = true
    const pulled = new Set<unknown>()
    const pullAll = async () => {
      let since: Checkpoint | undefined
      for (let done = false; !done; ) {
        const last = !writing // looked at before the pull: what it misses must have been written since
        const answer = await db.transaction().execute((tx) => pull(tx, { collection, scopes, userId: 'u', limit: 50, since }))
        for (const { id } of answer.documents) pulled.add(id)
        since = answer.checkpoint
        done = last && answer.documents.length < 50
      }
    }

    const puller = pullAll()
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))
    writing = false
    await puller

    expect(pulled.size).toBe(WRITERS * PUSHES_EACH * 3)
  })
})
