import { type Migration, Migrator } from 'kysely/migration'
import * as accountsSessionsSync from './migrations/0001-accounts-sessions-sync.ts'
import * as rowLevelSecurity from './migrations/0002-row-level-security.ts'
import * as auditLog from './migrations/0003-audit.ts'
import * as accounts from './migrations/0004-accounts.ts'
import type { Database } from './schema.ts'

/** Forward only, in this order, each in its own file that never changes once released. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-accounts-sessions-sync': accountsSessionsSync,
  '0002-row-level-security': rowLevelSecurity,
  '0003-audit': auditLog,
  '0004-accounts': accounts,
}

/**
 * Brings the tables up to this version's. Safe to call from several instances at once: Kysely's migrator holds an advisory lock.
 *
 * @throws when a migration fails, or when the database was written by a later version
 */
export async function migrateToLatest(db: Database): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...migrations }) } })
  const { error, results } = await migrator.migrateToLatest()
  if (!error) return
  const failed = results?.find(({ status }) => status === 'Error')
  throw new Error(failed ? `Migration ${failed.migrationName} failed.` : 'The database does not fit this version of the server.', {
    cause: error,
  })
}
