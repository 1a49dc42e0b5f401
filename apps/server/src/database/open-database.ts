import { mkdirSync } from 'node:fs'
import type { Log } from '../log.ts'
import type { ChangeBus } from '../sync/change-bus.ts'
import { checkEngineMark, type Engine } from './engine-mark.ts'
import { openPGlite } from './open-pglite.ts'
import { openPostgres } from './open-postgres.ts'
import type { Database } from './schema.ts'

export interface OpenDatabase {
  readonly db: Database
  readonly engine: Engine
  /** How the instances that share this database tell each other of commits. */
  readonly bus: ChangeBus
  close(): Promise<void>
}

export interface DatabasePlace {
  /** Holds the key file, and the database itself unless `databaseUrl` names one. */
  readonly dataDir: string
  /** PostgreSQL 15 or later. */
  readonly databaseUrl?: string | undefined
  /** Connections to PostgreSQL. Default 10. */
  readonly poolSize?: number | undefined
}

export async function openDatabase({ dataDir, databaseUrl, poolSize = 10 }: DatabasePlace, log: Log): Promise<OpenDatabase> {
  if (databaseUrl === undefined) return openPGlite(dataDir)
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  checkEngineMark(dataDir, 'postgresql')
  return openPostgres(databaseUrl, poolSize, log)
}
