import 'fake-indexeddb/auto'
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startTestServer, type TestServer } from '@nightlatch/server/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openApp } from './index.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
let server: TestServer

beforeAll(async () => {
  server = await startTestServer({ config: { collections: { notes: { schemaVersion: 0, scope: 'mine' } } } })
}, 60_000)
afterAll(() => server.close())

/** The example that follows `<!-- example: name -->` in the README, as a module of its own, talking to the test's server. */
async function extract(name: string, imports: string): Promise<string> {
  const readme = await readFile(here('../../../README.md'), 'utf8')
  const example = new RegExp(`<!-- example: ${name} -->\\s*\`\`\`ts\\n([\\s\\S]*?)\`\`\``).exec(readme)?.[1]
  if (example === undefined) throw new Error(`README.md has no example called ${name}.`)
  const code = `${imports}\n${example.replaceAll(/http:\/\/127\.0\.0\.1:4400|https:\/\/api\.example\.org/g, server.url)}`
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
