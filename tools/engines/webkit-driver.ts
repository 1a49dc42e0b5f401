import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'

export const XVFB_PATH = '/usr/bin/Xvfb'
export const WEBKIT_DRIVER_PATH = '/usr/bin/WebKitWebDriver'

/** A WebKitGTK window on a screen that nobody sees, driven by WebDriver (W3C). */
export interface WebKitWindow {
  goTo(url: string): Promise<void>
  close(): Promise<void>
}

export async function openWebKitWindow(): Promise<WebKitWindow> {
  const screen = spawn(XVFB_PATH, ['-displayfd', '3', '-screen', '0', '1280x800x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  const port = await freePort()
  const driver = spawn(WEBKIT_DRIVER_PATH, [`--port=${port}`], {
    env: { ...process.env, DISPLAY: `:${await displayOf(screen)}`, WEBKIT_DISABLE_COMPOSITING_MODE: '1' },
    stdio: 'ignore',
  })
  const close = async (): Promise<void> => {
    for (const program of [driver, screen]) await stop(program)
  }
  try {
    const { sessionId } = await beginSession(port)
    const session = `http://127.0.0.1:${port}/session/${sessionId}`
    return {
      async goTo(url) {
        await command(`${session}/url`, { url })
      },
      async close() {
        await fetch(session, { method: 'DELETE' }).catch(() => {}) // the window is closed with its driver, too
        await close()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The number that Xvfb chose for itself. */
async function displayOf(screen: ChildProcess): Promise<string> {
  const [, , , number] = screen.stdio
  if (!number || !('readable' in number)) throw new Error('Xvfb has no pipe for the number of its display.')
  const said = once(createInterface({ input: number }), 'line') as Promise<[string]>
  const ended = once(screen, 'exit').then(() => Promise.reject(new Error('Xvfb ended before it had a display.')))
  const [display] = await Promise.race([said, ended])
  return display
}

/** Until the driver listens. */
async function beginSession(port: number): Promise<{ readonly sessionId: string }> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const begun = await command(`http://127.0.0.1:${port}/session`, { capabilities: { alwaysMatch: {} } })
      return begun as { sessionId: string }
    } catch (error) {
      if (attempt === 50 || !(error instanceof TypeError)) throw error
      await delay(100)
    }
  }
}

/** @throws {TypeError} no answer; else an error with the driver's own words */
async function command(url: string, body: object): Promise<unknown> {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const { value } = (await answer.json()) as { value: { message?: string } }
  if (!answer.ok) throw new Error(`WebKitWebDriver: ${value.message ?? answer.status}`)
  return value
}

async function stop(program: ChildProcess): Promise<void> {
  if (program.exitCode !== null || program.signalCode !== null) return
  const ended = once(program, 'exit')
  program.kill('SIGTERM')
  await ended
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('There is no free port.')
  return address.port
}
