import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import { build } from 'vite'

export const chromiumPath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
export const hasChromium = existsSync(chromiumPath)

/** The page of `page-actions.ts`, built as an app would build it, on an origin that stays the same. */
export async function servePage(pageActions: string): Promise<{ readonly url: string; close(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'nightlatch-page-'))
  await writeFile(join(root, 'index.html'), '<!doctype html><title>page</title><script type="module" src="./main.js"></script>')
  await writeFile(join(root, 'main.js'), `import { pageActions } from ${JSON.stringify(pageActions)}\nglobalThis.page = pageActions\n`)
  await build({
    root,
    logLevel: 'error',
    resolve: { conditions: ['nightlatch-source', 'module', 'browser', 'production', 'import', 'default'] },
    build: { outDir: join(root, 'dist'), target: 'esnext', minify: false },
    worker: { format: 'es' },
  })
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://page').pathname
    readFile(join(root, 'dist', path === '/' ? 'index.html' : path)).then(
      (body) => response.setHeader('content-type', contentTypes[extname(path)] ?? 'text/html').end(body),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The page has no port.')
  return {
    url: `http://127.0.0.1:${address.port}/`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(root, { recursive: true, force: true })
    },
  }
}

const contentTypes: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.html': 'text/html' }

/** A browser over a profile directory that outlives it. */
export interface ProfileBrowser {
  readonly page: Page
  openTab(): Promise<Page>
  /** Like pulling the plug: the whole process group, at once. */
  kill(): Promise<void>
  close(): Promise<void>
}

export async function openProfile(profile: string, url: string): Promise<ProfileBrowser> {
  await mkdir(profile, { recursive: true })
  const chrome = spawn(chromiumPath, [...flags, `--user-data-dir=${profile}`, 'about:blank'], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise<void>((resolve) => chrome.once('exit', () => resolve()))
  const browser = await chromium.connectOverCDP(await endpointOf(chrome))
  const context = browser.contexts()[0] ?? (await browser.newContext())
  const page = await showPage(context.pages()[0] ?? (await context.newPage()), url)
  return {
    page,
    openTab: async () => showPage(await context.newPage(), url),
    async kill() {
      if (chrome.pid !== undefined) process.kill(-chrome.pid, 'SIGKILL')
      await ended
      await browser.close().catch(() => {})
      await rm(join(profile, 'SingletonLock'), { force: true })
    },
    async close() {
      const session = await browser.newBrowserCDPSession()
      await session.send('Browser.close').catch(() => {})
      await ended
    },
  }
}

const flags = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
]

async function showPage(page: Page, url: string): Promise<Page> {
  await page.goto(url)
  await page.waitForFunction('globalThis.page !== undefined')
  return page
}

function endpointOf(chrome: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    chrome.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      const endpoint = /ws:\/\/\S+/.exec(said)?.[0]
      if (endpoint) resolve(endpoint)
    })
    chrome.once('exit', () => reject(new Error(`Chromium ended: ${said}`)))
  })
}
