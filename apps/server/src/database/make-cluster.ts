import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'

/**
 * Makes PGlite's files at the first start: beside their place, brought to the disk, then renamed. A start that is cut short leaves a draft
 * that the next one throws away, never a half-made database that looks whole.
 */
export async function makeClusterOnce(directory: string): Promise<void> {
  if (existsSync(directory)) return
  const draft = `${directory}.draft`
  rmSync(draft, { recursive: true, force: true })
  const pglite = await PGlite.create({ dataDir: draft })
  await pglite.close()
  syncTree(draft)
  renameSync(draft, directory)
  syncFile(join(directory, '..'))
}

function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) syncFile(join(entry.parentPath, entry.name))
  syncFile(folder)
}

/** Folders, too, where the platform can: their entries are what a new file depends on. */
function syncFile(path: string): void {
  if (process.platform === 'win32') return
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
