import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import type { Log } from '../log.ts'
import { PostgresBus } from '../sync/postgres-bus.ts'
import type { OpenDatabase } from './open-database.ts'
import type { Database, Schema } from './schema.ts'

const OLDEST_MAJOR = 15
const INT8 = 20

/** Server milliseconds and counters fit a number; as text they would compare wrongly. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary'): ((value: string) => unknown) =>
    oid === INT8 ? Number : (pg.types.getTypeParser(oid, format) as (value: string) => unknown),
}

/** A PostgreSQL server, shared by any number of instances. */
export async function openPostgres(databaseUrl: string, poolSize: number, log: Log): Promise<OpenDatabase> {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: poolSize,
    types,
    connectionTimeoutMillis: 5000,
    statement_timeout: 30_000,
    lock_timeout: 10_000,
    idle_in_transaction_session_timeout: 60_000,
    application_name: 'nightlatch-server',
  })
  pool.on('error', (error) => log.error('idle-connection-lost', error)) // without a listener it would end the process
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  try {
    await checkVersion(db)
    const bus = await PostgresBus.connect(databaseUrl, pool, log)
    return {
      db,
      engine: 'postgresql',
      bus,
      close: async () => {
        await bus.close()
        await db.destroy()
      },
    }
  } catch (error) {
    await db.destroy()
    throw error
  }
}

export class UnsupportedPostgres extends Error {
  override readonly name = 'UnsupportedPostgres'
}

async function checkVersion(db: Database): Promise<void> {
  const { rows } = await sql<{ version: string }>`select current_setting('server_version_num') as version`.execute(db)
  const major = Math.floor(Number(rows[0]?.version) / 10_000)
  if (major < OLDEST_MAJOR)
    throw new UnsupportedPostgres(`DATABASE_URL is PostgreSQL ${major}; this server needs ${OLDEST_MAJOR} or later.`)
}
