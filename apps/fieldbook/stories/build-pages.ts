import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

/** Before the stories: makes the seed and builds the pages, so that they show the sources as they are. */
export async function setup(): Promise<void> {
  const fieldbook = fileURLToPath(new URL('..', import.meta.url))
  const seed = spawnSync(process.execPath, ['seed/main.ts'], { cwd: fieldbook, encoding: 'utf8' })
  if (seed.status !== 0) throw new Error(`The seed cannot be made.\n${seed.stderr}`)
  await build({ root: fieldbook, logLevel: 'error' })
}
