import { type Program, type SupervisedProcess, startProgram } from './supervised-process.ts'

type Options = { cwd: string; print: (line: string) => void; signal: AbortSignal; onReady: () => void }

/**
 * Runs programs side by side, started in order and stopped in reverse, until `signal` aborts or one of them ends.
 *
 * @returns The exit code: 0 when stopped by `signal`, 1 when a program did not start or ended by itself.
 */
export async function runPrograms(programs: Program[], { cwd, print, signal, onReady }: Options): Promise<number> {
  const running: SupervisedProcess[] = []
  try {
    for (const program of programs) running.push(await startProgram(program, { cwd, print, signal }))
    onReady()
    const trouble = await Promise.race([whenAborted(signal), ...running.map(describeEnd)])
    if (trouble) print(trouble)
    return trouble ? 1 : 0
  } catch (error) {
    if (signal.aborted) return 0
    print(error instanceof Error ? error.message : String(error))
    return 1
  } finally {
    for (const program of running.toReversed()) await program.stop()
  }
}

function whenAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

async function describeEnd({ name, ended }: SupervisedProcess): Promise<string> {
  return `The ${name} ended by itself (${await ended}); its last lines are above. Everything stops.`
}
