import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { provideChromium } from './chromium.ts'
import { provideServerPrograms } from './server-programs.ts'
import { runStaticBlock } from './static-block.ts'
import { closingLine, isSuccess, sum, type Tally } from './tally.ts'
import { runVitestBlock, skipVitestBlock } from './vitest-block.ts'

type Block = { name: string; budgetS: number; run(filters: string[]): Promise<Tally> | Tally }
type FinishedBlock = { block: Block; tally: Tally; tookS: number }

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

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
  { name: 'chromium', budgetS: 60, run: (filters) => inChromium('chromium', 'packages/**/*.browser.test.ts', filters) },
  { name: 'stories', budgetS: 150, run: (filters) => inChromium('stories', 'apps/**/*.story.test.ts', filters) },
]

const [only, ...filters] = process.argv.slice(2)
process.exitCode = await main(only, filters)

async function main(only: string | undefined, filters: string[]): Promise<number> {
  const chosen = blocks.filter((block) => !only || block.name === only)
  if (chosen.length === 0) {
    console.error(`There is no test block '${only}': use ${blocks.map((block) => block.name).join(', ')}.`)
    return 1
  }
  const finished: FinishedBlock[] = []
  for (const block of chosen) finished.push(await runBlock(block, filters))
  for (const line of ['', ...finished.map(summary), '']) console.log(line)
  const total = sum(finished.map(({ tally }) => tally))
  console.log(closingLine(total))
  return isSuccess(total) ? 0 : 1
}

async function runBlock(block: Block, filters: string[]): Promise<FinishedBlock> {
  console.log(`\n── ${block.name} ──`)
  const startedAtMs = performance.now()
  const tally = await block.run(filters)
  return { block, tally, tookS: (performance.now() - startedAtMs) / 1000 }
}

function summary({ block, tally, tookS }: FinishedBlock): string {
  const budget = `${tookS.toFixed(1).padStart(6)} s of ${String(block.budgetS).padStart(3)} s${tookS > block.budgetS ? ' (over budget)' : ''}`
  return `${block.name.padEnd(9)} ${budget}  ${closingLine(tally)}`
}

function inChromium(project: string, testFiles: string, filters: string[]): Promise<Tally> | Tally {
  const chromium = provideChromium()
  if (chromium.path === undefined) return skipVitestBlock(root, { project, testFiles }, chromium.missingBecause)
  process.env.CHROMIUM_PATH = chromium.path
  return runVitestBlock(root, { project, testFiles }, filters)
}
