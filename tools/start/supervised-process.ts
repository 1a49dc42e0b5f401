import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A Node program that prints one line `{"ready":true,"url":"…"}` when it can be used and ends on SIGTERM. */
export type Program = { name: string; args: string[] }

export type SupervisedProcess = {
  name: string
  url: string
  /** Resolves when the process has ended, for whatever reason, to how that looked: `exit code 3`, `signal SIGKILL`. */
  ended: Promise<string>
  stop(): Promise<void>
}

type Options = { cwd: string; print: (line: string) => void; signal: AbortSignal; readyWithinMs?: number; stopWithinMs?: number }

const STOP_WITH_PARENT = fileURLToPath(new URL('stop-with-parent.mjs', import.meta.url))

/**
 * Starts a program and waits until it is ready. What else it prints is printed with its name in front.
 *
 * @throws When it ends before it is ready, is not ready in time, or `signal` aborts; it has ended by then.
 */
export async function startProgram({ name, args }: Program, options: Options): Promise<SupervisedProcess> {
  const { cwd, print, signal, readyWithinMs = 60_000, stopWithinMs = 10_000 } = options
  // A process group of its own: Ctrl-C reaches only the supervisor, which stops its programs in order.
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--import', STOP_WITH_PARENT, ...args], {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const ended = endOf(child)
  const stop = () => stopProcess(child, ended, stopWithinMs)
  const url = readyUrl(child, (line) => print(`${name} | ${line}`))

  const tooLate = AbortSignal.any([signal, AbortSignal.timeout(readyWithinMs)])
  try {
    return { name, url: await Promise.race([url, failWhenEnded(name, ended), failWhenAborted(name, tooLate)]), ended, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`))
  })
}

function readyUrl(child: ChildProcess, print: (line: string) => void): Promise<string> {
  return new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue
      createInterface({ input: stream }).on('line', (line) => {
        const url = stream === child.stdout ? urlIn(line) : undefined
        if (url) resolve(url)
        else print(line)
      })
    }
  })
}

function urlIn(line: string): string | undefined {
  if (!line.startsWith('{')) return
  try {
    const said = JSON.parse(line) as { ready?: unknown; url?: unknown }
    return said.ready === true && typeof said.url === 'string' ? said.url : undefined
  } catch {
    return undefined
  }
}

async function failWhenEnded(name: string, ended: Promise<string>): Promise<never> {
  throw new Error(`The ${name} ended before it was ready (${await ended}).`)
}

function failWhenAborted(name: string, signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(new Error(`The ${name} was stopped before it was ready.`))
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
}

async function stopProcess(child: ChildProcess, ended: Promise<string>, withinMs: number): Promise<void> {
  child.kill('SIGTERM')
  const impatience = setTimeout(() => child.kill('SIGKILL'), withinMs)
  await ended
  clearTimeout(impatience)
}
