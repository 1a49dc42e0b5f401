import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { provideFirefox, provideWebKit } from './engines.ts'
import { inChromium } from './in-chromium.ts'
import { type Block, runBlocks } from './run-blocks.ts'
import { provideServerPrograms } from './server-programs.ts'
import { runVitestBlock, skipVitestBlock, type VitestProject } from './vitest-block.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const inBrowsers = 'packages/*/src/**/*.browser.test.ts'
const firefox: VitestProject = { project: 'firefox', testFiles: inBrowsers, config: 'vitest.deep.config.ts' }
const webkit: VitestProject = { project: 'webkit', testFiles: inBrowsers, config: 'vitest.deep.config.ts' }

/** What makes a test's runs longer, and by how much unless the caller says otherwise. */
const LONGER = {
  /** Minutes of random runs; other tests only look whether it is set. */
  NIGHTLATCH_DEEP: '30',
  /** How often a browser is killed in the middle of a save. */
  NIGHTLATCH_KILLS: '25',
  /** Times as many log-outs at random moments. */
  NIGHTLATCH_RUNS_FACTOR: '10',
}

const blocks: Block[] = [
  { name: 'firefox', budgetS: 60, run: (filters) => inEngine(firefox, provideFirefox(), filters) },
  { name: 'webkit', budgetS: 60, run: (filters) => inEngine(webkit, provideWebKit(), filters) },
  {
    name: 'long',
    budgetS: 3_600,
    run(filters) {
      Object.assign(process.env, { ...LONGER, ...process.env })
      provideServerPrograms()
      const files = longerTests()
      return inChromium(root, { project: 'node', testFiles: `{${files.join(',')}}` }, filters.length > 0 ? filters : files)
    },
  },
]

process.exitCode = await runBlocks(blocks, process.argv.slice(2))

function inEngine(project: VitestProject, missingBecause: string | undefined, filters: string[]) {
  return missingBecause === undefined ? runVitestBlock(root, project, filters) : skipVitestBlock(root, project, missingBecause)
}

/** The test files that read one of the variables. */
function longerTests(): string[] {
  const variables = Object.keys(LONGER)
  return globSync('{packages,apps}/*/src/**/*.test.ts', { cwd: root, exclude: ['**/node_modules/**'] }).filter((path) => {
    const text = readFileSync(join(root, path), 'utf8')
    return variables.some((variable) => text.includes(variable))
  })
}
