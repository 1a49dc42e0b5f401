import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { z } from 'zod'

export interface TemporaryDataDir {
  readonly path: string
  remove(): void
}

const packageFolder = join(import.meta.dirname, '..', '..')

/**
 * A data directory in which PGlite's files exist already: making them takes seconds and most of a gigabyte, copying them a moment.
 * They are made once per PGlite version and kept beside the installed packages.
 */
export async function temporaryDataDir({ withDatabase = true } = {}): Promise<TemporaryDataDir> {
  const path = mkdtempSync(join(tmpdir(), 'nightlatch-server-'))
  if (withDatabase) await copyTemplate(path)
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

async function copyTemplate(path: string): Promise<void> {
  const template = join(packageFolder, 'node_modules', '.cache', `pglite-${pgliteVersion()}`)
  if (!existsSync(template)) await makeTemplate(template)
  cpSync(template, join(path, 'database'), { recursive: true })
}

/** Several test processes may do this at once: each makes its own and the first to finish wins. */
async function makeTemplate(template: string): Promise<void> {
  mkdirSync(join(template, '..'), { recursive: true })
  const draft = mkdtempSync(`${template}-draft-`)
  const pglite = await PGlite.create({ dataDir: draft })
  await pglite.close()
  try {
    renameSync(draft, template)
  } catch {
    rmSync(draft, { recursive: true, force: true })
  }
}

function pgliteVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8'))
  return z.object({ dependencies: z.object({ '@electric-sql/pglite': z.string() }) }).parse(manifest).dependencies['@electric-sql/pglite']
}
