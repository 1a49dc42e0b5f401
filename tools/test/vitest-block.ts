import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, sep } from 'node:path'
import { NOTHING, type Tally, tallyOf, type VitestReport } from './tally.ts'

export type VitestProject = {
  project: string
  testFiles: string
  /** The file that configures the project. Default: vitest.config.ts. */
  config?: string
}

/**
 * Runs a project with its output on this terminal.
 *
 * @param filters Handed on to Vitest: file names, `-t` and so on.
 */
export async function runVitestBlock(root: string, vitestProject: VitestProject, filters: string[]): Promise<Tally> {
  const { project, testFiles, config = 'vitest.config.ts' } = vitestProject
  if (countFiles(root, testFiles) === 0) {
    console.log(`There are no test files like ${testFiles}.`)
    return NOTHING
  }
  const scratch = mkdtempSync(join(tmpdir(), 'nightlatch-test-'))
  const reportFile = join(scratch, 'report.json')
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`]
    const exitCode = await runVitest(root, ['run', '--config', config, '--project', project, ...reporters, ...filters])
    const tally = tallyOf(JSON.parse(readFileSync(reportFile, 'utf8')) as VitestReport)
    if (exitCode !== 0 && tally.failed === 0) return { ...tally, failed: 1 }
    if (exitCode === 0 && tally.passed + tally.skipped === 0) {
      console.log('Vitest ran no test.')
      return { ...tally, failed: 1 }
    }
    return tally
  } catch (error) {
    console.log(`Vitest left no report: ${error instanceof Error ? error.message : String(error)}`)
    return { ...NOTHING, failed: 1 }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** Counts each file of a project that cannot run here as one skipped test. */
export function skipVitestBlock(root: string, { testFiles }: VitestProject, reason: string): Tally {
  const files = countFiles(root, testFiles)
  console.log(`${files} test files skipped: ${reason}`)
  return { ...NOTHING, skipped: files }
}

function countFiles(root: string, pattern: string): number {
  const skip = ['node_modules', 'dist']
  return globSync(pattern, { cwd: root, exclude: (path) => skip.some((name) => path.split(sep).includes(name)) }).length
}

function runVitest(root: string, args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const vitest = spawn(process.execPath, [join(root, 'node_modules', 'vitest', 'vitest.mjs'), ...args], { cwd: root, stdio: 'inherit' })
    const stop = (): void => {
      vitest.kill('SIGTERM')
      process.exit(143)
    }
    process.once('SIGTERM', stop)
    vitest.on('error', reject)
    vitest.on('exit', (code) => {
      process.off('SIGTERM', stop)
      resolve(code ?? 1)
    })
  })
}
