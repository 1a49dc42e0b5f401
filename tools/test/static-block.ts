import { availableParallelism } from 'node:os'
import { type StaticCheck, staticChecks } from '../checks/static-checks.ts'
import type { Tally } from './tally.ts'

/** Runs every static check, those that need no build beside the build. */
export async function runStaticBlock(root: string): Promise<Tally> {
  const checks = staticChecks(root)
  const built = checks.filter((check) => !check.needsBuild)
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 }
  const failures = new Set<string>()

  const runCheck = async (check: StaticCheck): Promise<void> => {
    if (check.needsBuild && failures.has('types')) {
      tally.skipped += 1
      console.log(`- ${check.name}: skipped, there is no build to look at`)
      return
    }
    const startedAtMs = performance.now()
    const problems = await check.problems()
    const took = `${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`
    if (problems) {
      tally.failed += 1
      failures.add(check.name)
      console.log(`✗ ${check.name} (${took})\n${problems.trimEnd()}\n`)
    } else {
      tally.passed += 1
      console.log(`✓ ${check.name} (${took})`)
    }
  }
  await inParallel(built, runCheck)
  await inParallel(
    checks.filter((check) => check.needsBuild),
    runCheck,
  )
  return tally
}

async function inParallel<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items]
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
}
