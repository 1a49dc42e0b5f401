import { sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { afterEach, describe, expect, test } from 'vitest'
import { silentLog } from '../log.ts'
import { temporaryDataDir } from '../testing/temporary-data-dir.ts'
import { startTemporaryPostgres } from '../testing/temporary-postgres.ts'
import { testEngines } from '../testing/test-server.ts'
import { migrateToLatest, migrations } from './migrate.ts'
import { openDatabase } from './open-database.ts'

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** What a server of the first version left behind. */
const firstVersionRows = [
  `insert into server (issuer, incarnation, created_at_ms) values ('urn:x', 'i', 1)`,
  `insert into users (id, profile, created_at_ms) values ('u', '{"email":"a@b.c"}', 1)`,
  `insert into identities (id, user_id, provider, subject, created_at_ms) values ('i', 'u', 'email-password', 'a@b.c', 1)`,
  `insert into devices (id, user_id, created_at_ms) values ('d', 'u', 1)`,
  `insert into sessions (id, user_id, device_id, provider, salt, rotation, confirmed_rotation, rotated_at_ms, created_at_ms, idle_ends_at_ms)
    values ('s', 'u', 'd', 'email-password', 'salt', 3, 2, 1, 1, 2)`,
  `insert into sync_heads (collection, scope, seq) values ('notes', 'user:u', 1)`,
  `insert into sync_docs values ('notes', 'user:u', 'n', 1, false, '{"id":"n"}', 1, 'u')`,
]

describe.each(testEngines)('on %s', (engine) => {
  const names = Object.keys(migrations)

  test.each(names)('a database of version %s becomes one of the latest and keeps its rows', { timeout: 120_000 }, async (version) => {
    const directory = await temporaryDataDir({ withDatabase: engine === 'pglite', migrated: false })
    undo.push(directory.remove)
    const postgres = engine === 'postgresql' ? await startTemporaryPostgres() : undefined
    undo.push(() => postgres?.stop())
    const { db, close } = await openDatabase({ dataDir: directory.path, databaseUrl: await postgres?.createDatabase() }, silentLog)
    undo.push(close)
    const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...migrations }) } })
    await migrator.migrateTo(names[0] ?? '')
    for (const statement of firstVersionRows) await sql.raw(statement).execute(db)
    await migrator.migrateTo(version)

    await migrateToLatest(db)
    await migrateToLatest(db) // and again changes nothing

    expect((await migrator.getMigrations()).every(({ executedAt }) => executedAt)).toBe(true)
    expect(await db.selectFrom('sessions').select(['id', 'rotation', 'attempts']).execute()).toEqual([
      { id: 's', rotation: 3, attempts: [] },
    ])
    expect(await db.selectFrom('sync_docs').select(['id', 'seq', 'data']).execute()).toEqual([{ id: 'n', seq: 1, data: { id: 'n' } }])
  })

  test('a database of a later version is left alone', { timeout: 120_000 }, async () => {
    const directory = await temporaryDataDir({ withDatabase: engine === 'pglite', migrated: false })
    undo.push(directory.remove)
    const postgres = engine === 'postgresql' ? await startTemporaryPostgres() : undefined
    undo.push(() => postgres?.stop())
    const { db, close } = await openDatabase({ dataDir: directory.path, databaseUrl: await postgres?.createDatabase() }, silentLog)
    undo.push(close)
    await migrateToLatest(db)
    await sql`insert into kysely_migration values ('9999-from-the-future', now()::text)`.execute(db)

    await expect(migrateToLatest(db)).rejects.toThrow('does not fit this version')
  })
})
