import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inChromium } from './in-chromium.ts'
import { type Block, runBlocks } from './run-blocks.ts'
import { provideServerPrograms } from './server-programs.ts'
import { runStaticBlock } from './static-block.ts'
import { runVitestBlock } from './vitest-block.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const inPackages = { project: 'chromium', testFiles: 'packages/**/*.browser.test.ts' }
const stories = { project: 'stories', testFiles: 'apps/**/*.story.test.ts' }

/** The budgets add up to the ten minutes that `npm test` may take on two cores. */
const blocks: Block[] = [
  { name: 'static', budgetS: 30, run: () => runStaticBlock(root) },
  {
    name: 'node',
    budgetS: 360,
    run: (filters) => {
      provideServerPrograms()
      return runVitestBlock(root, { project: 'node', testFiles: '{packages,apps,tools}/**/*.test.ts' }, filters)
    },
  },
  { name: 'chromium', budgetS: 60, run: (filters) => inChromium(root, inPackages, filters) },
  { name: 'stories', budgetS: 150, run: (filters) => inChromium(root, stories, filters) },
]

process.exitCode = await runBlocks(blocks, process.argv.slice(2))
