import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { startServer } from './start-server.ts'
import { readEvents } from './testing/read-events.ts'
import { launchServer } from './testing/server-process.ts'
import { temporaryDataDir } from './testing/temporary-data-dir.ts'
import { hasNginx, startTemporaryNginx } from './testing/temporary-nginx.ts'
import { findPostgres, startTemporaryPostgres } from './testing/temporary-postgres.ts'
import { TestClient } from './testing/test-client.ts'

const canRun = hasNginx() && findPostgres() !== undefined
if (!canRun) console.warn('Skipped: two instances behind nginx (apt-get install postgresql nginx-light).')
const notes = '/v1/sync/notes/0'
const CLIENTS = 6
const PUSHES = 12
const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

describe.skipIf(!canRun)('behind nginx', () => {
  test('clients spread over two instances, one of which is killed in the middle: nothing acknowledged is lost, streams come back', {
    timeout: 120_000,
  }, async () => {
    const postgres = await startTemporaryPostgres()
    undo.push(() => postgres.stop())
    const directory = await temporaryDataDir({ withDatabase: false })
    undo.push(directory.remove)
    const databaseUrl = await postgres.createDatabase()
    const config = { collections: { notes: { schemaVersion: 0 } } }
    const stays = await startServer({ dataDir: directory.path, databaseUrl, config, proxyHops: 1 })
    undo.push(() => stays.close())
    const dies = await launchServer(directory.path, config, ['--database-url', databaseUrl, '--proxy-hops', '1'])
    undo.push(dies.end)
    const nginx = await startTemporaryNginx([stays.url, dies.url()].map((url) => new URL(url).host))
    undo.push(() => nginx.stop())
    const client = new TestClient(nginx.url)
    const account = await client.newAccount()

    let heard = 0
    const follow = async (signal: { over: boolean }) => {
      while (!signal.over) {
        const events = await readEvents(`${nginx.url}${notes}/stream`, account.access_token).catch(() => undefined)
        for (
          let event = await events?.next().catch(() => undefined);
          event && !signal.over;
          event = await events?.next().catch(() => undefined)
        ) {
          if (event.data === 'RESYNC') heard++
        }
        await events?.close().catch(() => {})
        await delay(50)
      }
    }
    const signal = { over: false }
    const followers = Array.from({ length: 4 }, () => follow(signal))
    const acknowledged = new Set<string>()
    const push = async (id: string) => {
      for (;;) {
        const answer = await client.post(`${notes}/push`, [{ newDocumentState: { id } }], account.access_token).catch(() => undefined)
        if (answer?.status === 200) break
        await delay(50)
      }
      acknowledged.add(id)
    }
    const pushing = Array.from({ length: CLIENTS }, async (_, writer) => {
      for (let n = 0; n < PUSHES; n++) await push(`${writer}-${n}`)
    })
    await delay(200)
    dies.child.kill('SIGKILL')
    await Promise.all(pushing)

    const heardBefore = heard
    await delay(500) // the followers of the instance that is gone are back by now
    await push('last')
    await delay(500)
    expect(heard).toBeGreaterThanOrEqual(heardBefore + 4)
    const { documents } = (await client.get(`${notes}/pull?limit=1000`, account.access_token)).body as { documents: { id: string }[] }
    expect(new Set(documents.map(({ id }) => id))).toEqual(acknowledged)
    expect(acknowledged.size).toBe(CLIENTS * PUSHES + 1)

    signal.over = true
    await push('let go')
    await Promise.all(followers)
  })
})
