import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type RunningServer, type ServerOptions, startServer } from './start-server.ts'
import { readEvents } from './testing/read-events.ts'
import { temporaryDataDir } from './testing/temporary-data-dir.ts'
import { findPostgres, startTemporaryPostgres } from './testing/temporary-postgres.ts'
import { TestClient } from './testing/test-client.ts'

vi.setConfig({ testTimeout: 60_000 })
const config = { collections: { notes: { schemaVersion: 0 } } }
const notes = '/v1/sync/notes/0'
const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

async function database() {
  const postgres = await startTemporaryPostgres()
  undo.push(() => postgres.stop())
  return postgres.createDatabase()
}

async function instance(databaseUrl: string, options: Partial<ServerOptions> = {}): Promise<RunningServer & { keyFile: string }> {
  const directory = await temporaryDataDir({ withDatabase: false })
  undo.push(directory.remove)
  const server = await startServer({ dataDir: directory.path, databaseUrl, config, ...options })
  undo.push(() => server.close())
  return { ...server, keyFile: options.keyFile ?? join(directory.path, 'keys.json') }
}

async function twoInstances() {
  const databaseUrl = await database()
  const a = await instance(databaseUrl, { metricsPort: 0 })
  const b = await instance(databaseUrl, { metricsPort: 0, keyFile: a.keyFile })
  const metrics = () => Promise.all([a, b].map(async ({ metricsUrl }) => (await fetch(metricsUrl ?? '')).text()))
  return { databaseUrl, metrics, a: new TestClient(a.url), b: new TestClient(b.url) }
}

/** Everything that is notified from now on. */
async function overhear(databaseUrl: string): Promise<readonly unknown[]> {
  const client = new pg.Client({ connectionString: databaseUrl })
  const heard: unknown[] = []
  client.on('notification', ({ payload }) => heard.push(JSON.parse(payload ?? 'null')))
  await client.connect()
  await client.query('listen nightlatch')
  undo.push(() => client.end())
  return heard
}

describe.skipIf(!findPostgres())('on postgresql', () => {
  test('tokens of one instance are good at the other, and fifty refreshes spread over both make one new token', async () => {
    const { a, b, metrics } = await twoInstances()
    const { refresh_token, access_token } = await a.newAccount()
    expect((await b.get('/v1/auth/profile', access_token)).status).toBe(200)

    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => (n % 2 ? a : b).refreshed(refresh_token, `attempt ${n}`)))

    expect(new Set(answers.map((answer) => answer.refresh_token)).size).toBe(1)
    const rotations = (await metrics()).flatMap((text) => [...text.matchAll(/decision="rotate"} (\d+)/g)].map(([, count]) => Number(count)))
    expect(rotations).toEqual([1]) // the others waited for the row and were given the same pair
  })

  test('a push at one instance wakes streams of the other, and a revocation cuts them', async () => {
    const { a, b, databaseUrl } = await twoInstances()
    const session = await a.newAccount()
    const events = await readEvents(`${b.url}${notes}/stream`, session.access_token)
    await events.next()
    const overheard = await overhear(databaseUrl) // the sweep would wake the stream as well, only later

    await a.post(`${notes}/push`, [{ newDocumentState: { id: 'n1' } }], session.access_token)
    expect(await events.next()).toMatchObject({ data: 'RESYNC' })
    await vi.waitFor(() => expect(overheard).toMatchObject([{ changed: [['notes', `user:${session.user_id}`]] }]))
    await a.post('/v1/auth/revoke', { revoke_handle: session.revoke_handle })

    expect(await events.next()).toEqual({ event: 'end', data: { code: 'session_revoked' } })
    expect(await b.get(`${notes}/pull`, session.access_token)).toMatchObject({ status: 401, body: { code: 'session_revoked' } })
  })

  test('a notification that was never sent is made up for by the sweep', async () => {
    const { a, b, databaseUrl } = await twoInstances()
    const session = await a.newAccount()
    await a.post(`${notes}/push`, [{ newDocumentState: { id: 'n1' } }], session.access_token)
    const events = await readEvents(`${b.url}${notes}/stream`, session.access_token)
    await events.next()

    // What an instance leaves behind that dies between its commit and its NOTIFY.
    const client = new pg.Client({ connectionString: databaseUrl })
    await client.connect()
    await client.query(`update sync_docs set seq = 2, data = '{"id":"n1","late":true}'`)
    await client.query('update sync_heads set seq = 2')
    expect(await events.next()).toMatchObject({ data: 'RESYNC' })
    await client.query(`update sessions set ended_at_ms = 1, end_reason = 'revoked'`)
    await client.end()

    for (let event = await events.next(); ; event = await events.next()) {
      if (event?.event === 'end') {
        expect(event.data).toEqual({ code: 'session_revoked' })
        break
      }
      expect(event).toMatchObject({ data: 'RESYNC' })
    }
  })

  test('a cut LISTEN connection is opened again, and streams look for what they missed', async () => {
    const { a, b, databaseUrl } = await twoInstances()
    const session = await a.newAccount()
    const events = await readEvents(`${b.url}${notes}/stream`, session.access_token)
    await events.next()
    const client = new pg.Client({ connectionString: databaseUrl })
    await client.connect()
    await client.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nightlatch-listen'`)
    await client.end()
    expect(await events.next()).toMatchObject({ data: 'RESYNC' }) // connected again

    await a.post(`${notes}/push`, [{ newDocumentState: { id: 'n1' } }], session.access_token)

    expect(await events.next()).toMatchObject({ data: 'RESYNC' })
  })

  test('four instances start on an empty database at once; one without the key file refuses', async () => {
    const databaseUrl = await database()
    const first = await instance(databaseUrl)
    const empty = await database()
    const directory = await temporaryDataDir({ withDatabase: false })
    undo.push(directory.remove)
    const keyFile = join(directory.path, 'keys.json')
    copyFileSync(first.keyFile, keyFile)

    const servers = await Promise.all([1, 2, 3, 4].map(() => instance(empty, { keyFile })))
    const account = await new TestClient(servers[0]?.url ?? '').newAccount()
    for (const { url } of servers) expect((await new TestClient(url).get('/v1/auth/profile', account.access_token)).status).toBe(200)

    await expect(instance(empty)).rejects.toMatchObject({ name: 'KeyFileProblem' })
  })
})
