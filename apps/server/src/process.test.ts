import type { ChildProcess } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import type { ServerConfig } from './config.ts'
import { startServer } from './start-server.ts'
import { readEvents } from './testing/read-events.ts'
import { launchServer, type ServerProcess } from './testing/server-process.ts'
import { temporaryDataDir } from './testing/temporary-data-dir.ts'
import { TestClient } from './testing/test-client.ts'

vi.setConfig({ testTimeout: process.env.NIGHTLATCH_DEEP ? 600_000 : 60_000 })

/** The deep run kills more often. */
const ROUNDS = process.env.NIGHTLATCH_DEEP ? 20 : 3
const config = { collections: { notes: { schemaVersion: 0 } } }
const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

async function dataDir() {
  const directory = await temporaryDataDir()
  undo.push(directory.remove)
  return directory.path
}

async function launch(data: string, ...flags: string[]) {
  const launched = await launchServer(data, config, flags)
  undo.push(launched.end)
  return launched
}

const urlOf = ({ url }: ServerProcess) => url()

function stop(child: ChildProcess) {
  child.kill('SIGTERM')
}

test('two servers on one directory: the second refuses and says why, in the same process and in another', async () => {
  const data = await dataDir()
  const first = await startServer({ dataDir: data })
  undo.push(() => first.close())

  await expect(startServer({ dataDir: data })).rejects.toThrow(`Another server uses the data directory ${data} (process ${process.pid})`)
  const second = await launch(data)

  expect(await second.exited).toMatchObject({ code: 1 })
  expect(second.output).toEqual({
    out: '',
    err: expect.stringContaining(`Another server uses the data directory ${data} (process ${process.pid})`) as string,
  })
  expect((await new TestClient(first.url).get('/healthz')).status).toBe(200)
})

test('a dead owner’s lock is taken over, and no acknowledged write is lost by kill -9', async () => {
  const data = await dataDir()
  const acknowledged: string[] = []
  let token = ''
  for (let round = 0; round < ROUNDS; round++) {
    const server = await launch(data)
    const client = new TestClient(urlOf(server))
    token ||= (await client.newAccount()).access_token
    setTimeout(() => server.child.kill('SIGKILL'), 300 + (round % 5) * 130)
    for (let n = 0; ; n++) {
      const id = `${round}-${n}`
      const answer = await client.post('/v1/sync/notes/0/push', [{ newDocumentState: { id } }], token).catch(() => undefined)
      if (answer?.status !== 200) break
      acknowledged.push(id)
    }
    expect(await server.exited).toMatchObject({ signal: 'SIGKILL' })
  }

  const survivor = await startServer({ dataDir: data, config })
  undo.push(() => survivor.close())
  const { body } = await new TestClient(survivor.url).get('/v1/sync/notes/0/pull?limit=1000', token)
  const stored = new Set((body as { documents: { id: string }[] }).documents.map(({ id }) => id))
  expect(acknowledged.length).toBeGreaterThan(10)
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([])
})

test('SIGTERM ends streams with "shutdown", exits with 0 and keeps sessions, signing keys and issuer for the next start', async () => {
  const data = await dataDir()
  const first = await launch(data, '--access-life-s', '600')
  const account = await new TestClient(urlOf(first)).newAccount()
  expect(account.expires_in).toBe(600)
  const events = await readEvents(`${urlOf(first)}/v1/sync/notes/0/stream`, account.access_token)
  await events.next()

  stop(first.child)

  expect(await events.next()).toEqual({ event: 'end', data: { code: 'shutdown' } })
  expect(await first.exited).toMatchObject({ code: 0 })
  expect(first.output.out.trim().split('\n')).toHaveLength(1)
  const second = await startServer({ dataDir: data, config })
  undo.push(() => second.close())
  const client = new TestClient(second.url)
  expect((await client.get('/v1/auth/profile', account.access_token)).status).toBe(200)
  expect((await client.refresh(account.refresh_token)).status).toBe(200)
})

test('a missing, damaged or foreign key file stops the start instead of refusing every session', async () => {
  const data = await dataDir()
  const keyFile = join(data, 'keys.json')
  await (await startServer({ dataDir: data })).close()
  const original = readFileSync(keyFile, 'utf8')
  const foreign = JSON.stringify({ version: 1, keys: [{ kid: 'k1', secret: Buffer.alloc(32, 1).toString('base64url') }] })

  rmSync(keyFile)
  await expect(startServer({ dataDir: data })).rejects.toMatchObject({
    name: 'KeyFileProblem',
    message: expect.stringContaining('missing') as string,
  })
  writeFileSync(keyFile, original.slice(0, 40))
  await expect(startServer({ dataDir: data })).rejects.toMatchObject({ name: 'KeyFileProblem' })
  writeFileSync(keyFile, foreign)
  await expect(startServer({ dataDir: data })).rejects.toMatchObject({ name: 'KeyFileProblem' })
  writeFileSync(keyFile, original)
  await (await startServer({ dataDir: data })).close()
})

test('wrong flags and configurations stop the start with a sentence that names the key', async () => {
  const data = await dataDir()
  const wrongFlag = await launch(data, '--access-life-s', 'soon')
  expect(await wrongFlag.exited).toMatchObject({ code: 1 })
  expect(wrongFlag.output.err).toBe('--access-life-s must be a whole number of at least 1, not "soon".\n')

  const wrongScope = JSON.parse('{"collections":{"notes":{"schemaVersion":0,"scope":"yours"}}}') as ServerConfig
  await expect(startServer({ dataDir: data, config: wrongScope })).rejects.toThrow(/collections\.notes\.scope/)
})
