import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TemporaryDataDir, temporaryDataDir } from '../testing/temporary-data-dir.ts'
import type { OpenDatabase } from './open-database.ts'
import { openPGlite } from './open-pglite.ts'

let directory: TemporaryDataDir
let database: OpenDatabase

beforeAll(async () => {
  directory = await temporaryDataDir()
  database = await openPGlite(directory.path)
  await sql`create table seen (n integer)`.execute(database.db)
}, 60_000)
afterAll(async () => {
  await database.close()
  directory.remove()
})

const count = async () => (await sql<{ n: number }>`select count(*)::int as n from seen`.execute(database.db)).rows[0]?.n

test('no request sees another one’s uncommitted rows, and a rollback takes only its own', async () => {
  const { db } = database
  let entered = () => {}
  const insideTransaction = new Promise<void>((resolve) => {
    entered = resolve
  })
  const failing = db.transaction().execute(async (tx) => {
    await sql`insert into seen values (1)`.execute(tx)
    entered()
    await new Promise((resolve) => setTimeout(resolve, 50))
    throw new Error('rolled back')
  })
  await insideTransaction
  const seenMeanwhile = count()
  const other = sql`insert into seen values (2)`.execute(db)

  await expect(failing).rejects.toThrow('rolled back')
  await other

  expect(await seenMeanwhile).toBe(0)
  expect((await sql`select n from seen`.execute(db)).rows).toEqual([{ n: 2 }])
})
