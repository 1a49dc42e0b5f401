import 'fake-indexeddb/auto'
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { App } from '@nightlatch/auth-core'
import { startTestServer, type TestServer } from '@nightlatch/server/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openApp } from './index.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
let server: TestServer

beforeAll(async () => {
  server = await startTestServer({ config: { collections: { notes: { schemaVersion: 0, scope: 'mine' } } } })
}, 60_000)
afterAll(() => server.close())

/** The example that follows `<!-- example: name -->` in the README, as a module of its own, talking to `url`. */
async function extract(name: string, imports: string, url = server.url, exports = ''): Promise<string> {
  const readme = await readFile(here('../../../README.md'), 'utf8')
  const example = new RegExp(`<!-- example: ${name} -->\\s*\`\`\`ts\\n([\\s\\S]*?)\`\`\``).exec(readme)?.[1]
  if (example === undefined) throw new Error(`README.md has no example called ${name}.`)
  const code = `${imports}\n${example.replaceAll(/http:\/\/127\.0\.0\.1:4400|https:\/\/api\.example\.org/g, url)}${exports}`
  await mkdir(here('../readme/generated'), { recursive: true })
  const path = here(`../readme/generated/${name}.ts`)
  await writeFile(path, code)
  return path
}

async function typeCheck(): Promise<void> {
  await promisify(execFile)(here('../../../node_modules/.bin/tsc'), ['-p', here('../readme/tsconfig.json')])
}

test('README: the first example compiles and runs', async () => {
  const prelude = await import('../readme/prelude.ts')
  const { email, password } = prelude
  const setUp = await openApp({ id: 'set-up', server: server.url, collections: {} })
  await setUp.emailPasswordAuth.registerUser({ email, password })
  await setUp.close()

  const path = await extract('whole', `import { badge, email, noteSchema, password, router, signOut } from '../prelude.ts'`)
  await typeCheck()
  await import(path)

  expect(await prelude.signOut.onclick()).toMatchObject({ kept: 0, discarded: 0, revocation: 'done' })
  expect(prelude.badge.shown).toContain(1)
  expect(prelude.router.visited).toEqual([])
}, 60_000)

/** An app's own API before the reference server: who has a token that the server accepts gets the report. */
async function startReportApi(): Promise<{ readonly url: string; readonly tokens: string[]; close(): void }> {
  const tokens: string[] = []
  const api = createServer((request, response) => {
    void (async () => {
      const headers = { Authorization: request.headers.authorization ?? '', 'Content-Type': 'application/json' }
      if (request.url === '/report') {
        tokens.push(headers.Authorization)
        const { status } = await fetch(`${server.url}/v1/auth/profile`, { headers })
        const isRejected = status !== 200 || tokens.length === 1 // the first one as if it had just been revoked
        response.writeHead(isRejected ? 401 : 200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ chicks: 3 }))
        return
      }
      const method = request.method ?? 'GET'
      const body = method === 'GET' ? null : await text(request)
      const answer = await fetch(`${server.url}${request.url}`, { method, headers, body })
      response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(await answer.text())
    })()
  })
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve))
  const { port } = api.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, tokens, close: () => api.close() }
}

test('README: auth-core without RxDB: one 401 costs one refresh and one replay', async () => {
  const { email, password } = await import('../readme/prelude.ts')
  await server.client.post('/v1/auth/register', { email, password }) // the first example may have done it
  const api = await startReportApi()

  const path = await extract('core', `import { email, password } from '../prelude.ts'`, api.url, '\nexport { app, report }\n')
  await typeCheck()
  const { app, report } = (await import(path)) as { app: App; report: Response }

  expect(await report.json()).toEqual({ chicks: 3 })
  expect(api.tokens).toHaveLength(2)
  expect(new Set(api.tokens).size).toBe(2)
  await app.logOut()
  await app.close()
  api.close()
}, 60_000)
