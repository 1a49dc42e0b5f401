import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { migrateToLatest } from '../database/migrate.ts'
import { openPGlite } from '../database/open-pglite.ts'

export interface TemporaryDataDir {
  readonly path: string
  remove(): void
}

const packageFolder = join(import.meta.dirname, '..', '..')
const migrationsFolder = join(import.meta.dirname, '..', 'database', 'migrations')

/**
 * A data directory in which PGlite's files and the server's tables exist already: making them takes seconds and most of a gigabyte, copying
 * them a moment. They are made once per PGlite version and set of migrations, and kept beside the installed packages.
 */
export async function temporaryDataDir({ withDatabase = true, migrated = true } = {}): Promise<TemporaryDataDir> {
  const path = mkdtempSync(join(tmpdir(), 'nightlatch-server-'))
  if (withDatabase) cpSync(await templateOf(migrated), join(path, 'database'), { recursive: true })
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

async function templateOf(migrated: boolean): Promise<string> {
  const tables = migrated ? digestOfMigrations() : 'empty'
  const template = join(packageFolder, 'node_modules', '.cache', `pglite-${pgliteVersion()}-${tables}`)
  if (!existsSync(template)) await makeTemplate(template, migrated)
  return template
}

/** Several test processes may do this at once: each makes its own and the first to finish wins. */
async function makeTemplate(template: string, migrated: boolean): Promise<void> {
  mkdirSync(join(template, '..'), { recursive: true })
  const draft = mkdtempSync(`${template}-draft-`)
  const { db, close } = await openPGlite(draft)
  if (migrated) await migrateToLatest(db)
  await close()
  try {
    renameSync(join(draft, 'database'), template)
  } catch (error) {
    if (!existsSync(template)) throw error
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

function digestOfMigrations(): string {
  const digest = createHash('sha256')
  for (const file of readdirSync(migrationsFolder).sort()) digest.update(readFileSync(join(migrationsFolder, file)))
  return digest.digest('hex').slice(0, 12)
}

function pgliteVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8'))
  return z.object({ dependencies: z.object({ '@electric-sql/pglite': z.string() }) }).parse(manifest).dependencies['@electric-sql/pglite']
}
