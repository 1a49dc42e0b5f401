import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../test/guarded-app.ts'
import type {} from '../test/tab-page.ts'
import { WireServer } from '../test/wire-server.ts'

const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const here = fileURLToPath(new URL('..', import.meta.url))
let script = ''

/** Real tabs of a real Chromium: real Web Locks, BroadcastChannel and IndexedDB. */
const inChromium = test.skipIf(!existsSync(executablePath))

beforeAll(async () => {
  if (!existsSync(executablePath)) return
  const outDir = await mkdtemp(join(tmpdir(), 'nightlatch-tabs-'))
  await build({
    configFile: false,
    logLevel: 'error',
    root: here,
    resolve: { conditions: ['nightlatch-source', 'module', 'browser', 'import', 'default'] },
    build: {
      outDir,
      minify: false,
      target: 'es2022',
      lib: { entry: join(here, 'test/tab-page.ts'), formats: ['es'], fileName: () => 'tab.js' },
    },
  })
  script = await readFile(join(outDir, 'tab.js'), 'utf8')
  await rm(outDir, { recursive: true })
}, 60_000)

afterAll(() => {
  script = ''
})

async function tabs(count: number): Promise<{ server: WireServer; pages: Page[]; context: BrowserContext }> {
  const server = await WireServer.start()
  server.pages.set('/', { type: 'text/html', body: '<!doctype html><title>tab</title><script type="module" src="/tab.js"></script>' })
  server.pages.set('/tab.js', { type: 'text/javascript', body: script })
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] })
  onTestFinished(async () => {
    await browser.close()
    await server.stop()
  })
  const context = await browser.newContext()
  const pages: Page[] = []
  for (let i = 0; i < count; i += 1) {
    server.validTokens.add(`token-${i}`)
    const page = await context.newPage()
    await page.goto(`${server.url}/?token=token-${i}`)
    await page.waitForFunction(() => window.tab !== undefined)
    pages.push(page)
  }
  await eventually(async () => (await leaders(pages)) === 1, 10_000)
  return { server, pages, context }
}

async function leaders(pages: readonly Page[]): Promise<number> {
  return (await Promise.all(pages.map((page) => page.evaluate(() => window.tab.leads())))).filter(Boolean).length
}

inChromium(
  'one of five tabs replicates, all of them write, every write arrives once, and all show the same count',
  { timeout: 60_000 },
  async () => {
    const { server, pages } = await tabs(5)
    await Promise.all(pages.map((page, i) => page.evaluate((id) => window.tab.write(id), `from-${i}`)))
    await eventually(() => server.documents('notes').length === 5, 10_000)
    expect(await leaders(pages)).toBe(1)
    for (const page of pages) await eventually(async () => (await page.evaluate(() => window.tab.pending())) === 0)
    const pushes = server.requests.filter(({ action }) => action === 'push').flatMap(({ ids }) => ids)
    expect(new Set(pushes).size).toBe(pushes.length)
  },
)

inChromium('when the tab that replicates is closed another one goes on', { timeout: 60_000 }, async () => {
  const { server, pages } = await tabs(2)
  await pages[0]?.close()
  await pages[1]?.evaluate(() => window.tab.write('after'))
  await eventually(() => server.document('notes', 'after') !== undefined, 10_000)
})

inChromium(
  'G1 G6: a log-out in one of five tabs halts all; the number it shows is what the server is missing',
  { timeout: 60_000 },
  async () => {
    const { server, pages } = await tabs(5)
    server.fault = ({ action, ids }) => (action === 'push' && ids.some((id) => id.startsWith('w3')) ? { status: 503, body: {} } : undefined)
    const writing = Promise.all(pages.map((page, i) => page.evaluate((prefix) => window.tab.writeUntilRefused(prefix), `w${i}`)))
    await new Promise((resolve) => setTimeout(resolve, 400))

    const report = await (pages[4] as Page).evaluate(() => window.tab.end())
    const resolvedAtMs = performance.now()
    const written = (await writing).flat()

    const missing = written.filter((id) => server.document('notes', id) === undefined)
    expect(report).toMatchObject({ kept: missing.length, silentTabs: 0 })
    expect(missing.length).toBeGreaterThan(0)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(server.requests.filter(({ atMs }) => atMs > resolvedAtMs)).toEqual([])
  },
)

inChromium('G1: a frozen tab that replicates is replaced, and sends nothing when it wakes', { timeout: 60_000 }, async () => {
  const { server, pages, context } = await tabs(2)
  const [first, second] = pages as [Page, Page]
  expect(await first.evaluate(() => window.tab.leads())).toBe(true)
  const debug = await context.newCDPSession(first)
  await debug.send('Debugger.enable')
  await debug.send('Debugger.pause')
  const frozen = first.evaluate(() => 1)
  expect(await Promise.race([frozen.then(() => 'awake'), new Promise((resolve) => setTimeout(resolve, 300, 'frozen'))])).toBe('frozen')
  await second.bringToFront()

  await eventually(() => second.evaluate(() => window.tab.leads()), 15_000)
  await second.evaluate(() => window.tab.write('a'))
  await eventually(() => server.document('notes', 'a') !== undefined, 10_000)
  const wokenAtMs = performance.now()
  await debug.send('Debugger.resume')
  await frozen
  await new Promise((resolve) => setTimeout(resolve, 500))

  expect(server.requests.filter(({ atMs, token }) => token === 'token-0' && atMs > wokenAtMs)).toEqual([])
  expect(await leaders(pages)).toBe(1)
})
