import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { installDebianPackages } from './debian-packages.ts'

export type Chromium = { path: string } | { path: undefined; missingBecause: string }

const USUAL_PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** Finds a Chromium that starts. On Debian, root and continuous integration get one installed where there is none. */
export function provideChromium(): Chromium {
  const named = process.env.CHROMIUM_PATH
  if (named) return starts(named) ? { path: named } : { path: undefined, missingBecause: `CHROMIUM_PATH is ${named}, which does not start` }
  const found = findChromium()
  if (found) return found
  const refusal = installDebianPackages(['chromium'])
  if (refusal !== undefined)
    return { path: undefined, missingBecause: `there is no Chromium here (or name one in CHROMIUM_PATH); ${refusal}` }
  return findChromium() ?? { path: undefined, missingBecause: 'Chromium could not be installed (see above)' }
}

function findChromium(): Chromium | undefined {
  const path = USUAL_PATHS.find(starts)
  return path ? { path } : undefined
}

function starts(path: string): boolean {
  return existsSync(path) && spawnSync(path, ['--version'], { stdio: 'ignore', timeout: 20_000 }).status === 0
}
