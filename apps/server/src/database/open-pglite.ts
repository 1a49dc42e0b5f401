import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { Kysely, PGliteDialect } from 'kysely'
import { lockDirectory } from './directory-lock.ts'
import type { OpenDatabase } from './open-database.ts'
import type { Schema } from './schema.ts'

/**
 * The database in a directory of this machine, for one process. All work goes through one connection;
 * Kysely queues transactions, so that no request sees another one's uncommitted rows.
 */
export async function openPGlite(directory: string): Promise<OpenDatabase> {
  const lock = lockDirectory(directory)
  try {
    const pglite = await PGlite.create({ dataDir: join(directory, 'database') })
    const db = new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) })
    return {
      db,
      close: async () => {
        await db.destroy()
        if (!pglite.closed) await pglite.close()
        lock.release()
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}
