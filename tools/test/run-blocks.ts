import { closingLine, isSuccess, sum, type Tally } from './tally.ts'

/** A part of a test run that is counted and timed by itself. */
export type Block = {
  name: string
  /** How long it may take on two cores; said in the summary, never a failure. */
  budgetS: number
  run(filters: string[]): Promise<Tally> | Tally
}

type FinishedBlock = { block: Block; tally: Tally; tookS: number }

/**
 * Runs the blocks one after the other, or only the one that is named first; the last line it prints is the result.
 *
 * @param args the name of a block, and what follows is for Vitest: file names, `-t` and so on
 * @returns the exit code
 */
export async function runBlocks(blocks: Block[], [only, ...filters]: string[]): Promise<number> {
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
