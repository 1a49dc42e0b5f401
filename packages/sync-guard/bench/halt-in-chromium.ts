/**
 * Halting in a real Chromium on Dexie.
 * Run: node_modules/.bin/node --conditions=nightlatch-source packages/sync-guard/bench/halt-in-chromium.ts
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { build } from 'vite'
import type {} from './halt-page.ts'

const built = await build({
  configFile: false,
  logLevel: 'error',
  root: fileURLToPath(new URL('..', import.meta.url)),
  resolve: { conditions: ['nightlatch-source', 'module', 'browser', 'import', 'default'] },
  build: {
    write: false,
    target: 'es2022',
    lib: { entry: fileURLToPath(new URL('halt-page.ts', import.meta.url)), formats: ['es'], fileName: 'page' },
  },
})
const [output] = [built].flat()
const script = output && 'output' in output ? output.output[0].code : ''
const server = createServer(({ url }, response) => {
  response.setHeader('content-type', url === '/page.js' ? 'text/javascript' : 'text/html')
  response.end(url === '/page.js' ? script : '<!doctype html><script type="module" src="/page.js"></script>')
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] })
const page = await browser.newPage()
await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
await page.waitForFunction(() => 'haltMs' in window)
for (const replications of [1, 12, 100]) {
  const times: number[] = []
  for (let round = 0; round < 5; round += 1) times.push(await page.evaluate((count) => window.haltMs(count), replications))
  const sorted = times.sort((a, b) => a - b).map((ms) => ms.toFixed(1))
  console.log(`${replications} replications: median ${sorted[2]} ms, all ${sorted.join(' ')}`)
}
await browser.close()
server.close()
