import { provideChromium } from './chromium.ts'
import type { Tally } from './tally.ts'
import { runVitestBlock, skipVitestBlock, type VitestProject } from './vitest-block.ts'

/** Runs a project that needs a Chromium, or skips it with the reason. */
export function inChromium(root: string, project: VitestProject, filters: string[]): Promise<Tally> | Tally {
  const chromium = provideChromium()
  if (chromium.path === undefined) return skipVitestBlock(root, project, chromium.missingBecause)
  process.env.CHROMIUM_PATH = chromium.path
  return runVitestBlock(root, project, filters)
}
