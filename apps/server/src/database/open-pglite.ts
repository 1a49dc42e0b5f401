import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { Kysely, PGliteDialect } from 'kysely'
import { LocalBus } from '../sync/change-bus.ts'
import { lockDirectory } from './directory-lock.ts'
import { checkDurability, DurableFileSystem, durableStartParams } from './durable-file-system.ts'
import { checkEngineMark } from './engine-mark.ts'
import { makeClusterOnce } from './make-cluster.ts'
import type { OpenDatabase } from './open-database.ts'
import type { Schema } from './schema.ts'

/**
 * The database in a directory of this machine, for one process. All work goes through one connection;
 * Kysely queues transactions, so that no request sees another one's uncommitted rows.
 *
 * @throws {DirectoryInUse} {WrongEngine} {NotDurable}
 */
export async function openPGlite(directory: string): Promise<OpenDatabase> {
  const lock = lockDirectory(directory)
  try {
    checkEngineMark(directory, 'pglite')
    const cluster = join(directory, 'database')
    await makeClusterOnce(cluster)
    const files = new DurableFileSystem(cluster)
    const pglite = await PGlite.create({ fs: files, startParams: durableStartParams })
    await checkDurability(pglite, files)
    const db = new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) })
    return {
      db,
      engine: 'pglite',
      bus: new LocalBus(),
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
