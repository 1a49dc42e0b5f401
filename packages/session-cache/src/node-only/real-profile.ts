import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
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

/** Files under `folder` that hold one of `secrets` in any of the forms a program may write it down in, as `form of name in file`. */
export async function findOnDisk(folder: string, secrets: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const wanted = Object.entries(secrets).flatMap(([name, secret]) =>
    formsOf(secret).map(([form, bytes]) => ({ what: `${form} of ${name}`, bytes })),
  )
  const hits: string[] = []
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const content = await readFile(path).catch(() => Buffer.alloc(0)) // browsers delete files while they run
    for (const { what, bytes } of wanted) if (content.includes(bytes)) hits.push(`${what} in ${path.slice(folder.length)}`)
  }
  return hits
}

/** Raw, UTF-16 (both orders), hex, base64 at the three shifts it can have inside longer text, base64url, JSON-escaped, percent-encoded. */
export function formsOf(secret: string): readonly (readonly [form: string, bytes: Buffer])[] {
  const utf16 = Buffer.from(secret, 'utf16le')
  const hex = Buffer.from(secret).toString('hex')
  const base64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)]).toString('base64')
    // Only the characters that depend on nothing but the secret.
    return encoded.slice(shift === 0 ? 0 : 4, Math.floor(((shift + Buffer.byteLength(secret)) * 8) / 6) - 1)
  })
  const escaped = JSON.stringify(secret).slice(1, -1)
  const unicode = Array.from(secret, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
  return [
    ['raw', Buffer.from(secret)],
    ['UTF-16', utf16],
    ['UTF-16 (big-endian)', Buffer.from(utf16).swap16()],
    ['hex', Buffer.from(hex)],
    ['HEX', Buffer.from(hex.toUpperCase())],
    ...base64.map((text, shift) => [`base64 shifted by ${shift}`, Buffer.from(text)] as const),
    ...base64.map((text, shift) => [`base64url shifted by ${shift}`, Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_'))] as const),
    ['JSON', Buffer.from(escaped)],
    ['JSON (escaped)', Buffer.from(unicode)],
    ['percent-encoded', Buffer.from(encodeURIComponent(secret))],
  ]
}
