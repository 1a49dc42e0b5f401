import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type CDPSession, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { expect, onTestFinished, test } from 'vitest'
import { pause } from './guarded-app.ts'
import type {} from './tab-page.ts'
import { WireServer } from './wire-server.ts'

const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
let script: Promise<string> | undefined

/** Real tabs of a real Chromium: real Web Locks, BroadcastChannel and IndexedDB. */
export const inChromium = test.skipIf(!existsSync(executablePath))

export interface ChromiumTabs {
  readonly server: WireServer
  /**
   * The next tab on the same origin, with a token of its own: `token-0`, `token-1`, … Resolves when its app is open; with `waits`, when it has
   * heard of the tab that replicates and only `window.goOn()` is missing.
   */
  open(options?: { readonly version?: 0 | 1; readonly waits?: boolean }): Promise<Page>
}

export async function chromiumTabs(): Promise<ChromiumTabs> {
  script ??= buildPage()
  const server = await WireServer.start()
  server.pages.set('/', { type: 'text/html', body: '<!doctype html><title>tab</title><script type="module" src="/tab.js"></script>' })
  server.pages.set('/tab.js', { type: 'text/javascript', body: await script })
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] })
  onTestFinished(async () => {
    await browser.close()
    await server.stop()
  })
  const context = await browser.newContext()
  let count = 0
  const open: ChromiumTabs['open'] = async ({ version = 0, waits = false } = {}) => {
    const token = `token-${count}`
    count += 1
    server.validTokens.add(token)
    const page = await context.newPage()
    await page.goto(`${server.url}/?token=${token}&version=${version}${waits ? '&waits' : ''}`)
    if (waits) await page.waitForFunction(() => window.states?.some(({ kind }) => kind === 'synced'))
    else await page.waitForFunction(() => window.tab !== undefined)
    return page
  }
  return { server, open }
}

/** Stops a tab's script as a frozen tab's stands, right before `next` runs in it. */
export async function freeze<T>(page: Page, next: () => T | Promise<T>): Promise<{ thaw(): Promise<T> }> {
  const debug: CDPSession = await page.context().newCDPSession(page)
  await debug.send('Debugger.enable')
  await debug.send('Debugger.pause')
  const frozen = page.evaluate(next)
  expect(await Promise.race([frozen.then(() => 'awake'), pause(300).then(() => 'frozen')])).toBe('frozen')
  return {
    thaw: async () => {
      await debug.send('Debugger.resume')
      return frozen
    },
  }
}

export async function leaders(pages: readonly Page[]): Promise<number> {
  return (await Promise.all(pages.map((page) => page.evaluate(() => window.tab.leads())))).filter(Boolean).length
}

async function buildPage(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(new URL('..', import.meta.url)),
    resolve: { conditions: ['nightlatch-source', 'module', 'browser', 'import', 'default'] },
    build: {
      write: false,
      minify: false,
      target: 'es2022',
      lib: { entry: fileURLToPath(new URL('tab-page.ts', import.meta.url)), formats: ['es'], fileName: 'tab' },
    },
  })
  const [output] = [built].flat()
  if (!output || !('output' in output)) throw new Error('Vite has built nothing.')
  return output.output[0].code
}
