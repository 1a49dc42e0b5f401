import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface RunningProgram {
  readonly url: string
  /** Ends the process and waits until it is gone. `SIGKILL`: as a power cut would. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url))

/** Starts a program of this repository as a process of its own; resolves when it has printed its ready line. */
export async function startProgram(main: string, flags: Readonly<Record<string, string | true>>): Promise<RunningProgram> {
  const args = Object.entries(flags).flatMap(([flag, value]) => (value === true ? [`--${flag}`] : [`--${flag}`, value]))
  const child = spawn(process.execPath, ['--conditions=nightlatch-source', main, ...args], {
    cwd: REPOSITORY,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const gone = once(child, 'exit')
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-2_000)
  })
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = readyUrl(line)
      if (found) resolve(found)
    })
    void gone.then(() => reject(new Error(`${main} ended before it was ready. ${complaints}`)))
  })
  return {
    url,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      await gone
    },
  }
}

function readyUrl(line: string): string | undefined {
  try {
    const message: unknown = JSON.parse(line)
    return typeof message === 'object' && message !== null && 'url' in message ? String(message.url) : undefined
  } catch {
    return undefined
  }
}
