import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { startServer } from './start-server.ts'
import { temporaryDataDir } from './testing/temporary-data-dir.ts'
import { startTemporaryPostgres } from './testing/temporary-postgres.ts'
import { TestClient } from './testing/test-client.ts'
import { testEngines } from './testing/test-server.ts'

vi.setConfig({ testTimeout: 60_000 })
const config = { collections: { notes: { schemaVersion: 0 } } }
const notes = '/v1/sync/notes/0'
const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** A server that can be stopped, backed up as files or as a database, and set back to that backup. */
async function restorable(engine: 'pglite' | 'postgresql') {
  const directory = await temporaryDataDir({ withDatabase: engine === 'pglite' })
  undo.push(directory.remove)
  const postgres = engine === 'postgresql' ? await startTemporaryPostgres() : undefined
  undo.push(() => postgres?.stop())
  let databaseUrl = await postgres?.createDatabase()
  let backupUrl: string | undefined
  const files = join(directory.path, 'database')
  return {
    async start() {
      const server = await startServer({ dataDir: directory.path, config, ...(databaseUrl === undefined ? {} : { databaseUrl }) })
      undo.push(() => server.close())
      return { stop: () => server.close(), client: new TestClient(server.url) }
    },
    async backUp() {
      if (postgres && databaseUrl) backupUrl = await postgres.createDatabase({ from: databaseUrl })
      else cpSync(files, `${files}.backup`, { recursive: true })
    },
    restore() {
      if (backupUrl) {
        databaseUrl = backupUrl
        return
      }
      rmSync(files, { recursive: true })
      cpSync(`${files}.backup`, files, { recursive: true })
    },
  }
}

describe.each(testEngines)('on %s', (engine) => {
  test('after a restore: sessions of the backup go on, later ones are unknown, and devices push again what is missing', async () => {
    const place = await restorable(engine)
    const first = await place.start()
    const account = await first.client.newAccount()
    const second = await first.client.refreshed(account.refresh_token, 'a1')
    await first.client.post(`${notes}/push`, [{ newDocumentState: { id: 'saved', text: 'before' } }], second.access_token)
    await first.stop()
    await place.backUp()

    const later = await place.start()
    const third = await later.client.refreshed(second.refresh_token, 'a2')
    const fourth = await later.client.refreshed(third.refresh_token, 'a3')
    const newcomer = await later.client.newAccount()
    const afterBackup = { newDocumentState: { id: 'lost', text: 'after' } }
    await later.client.post(`${notes}/push`, [afterBackup], fourth.access_token)
    const { checkpoint } = (await later.client.get(`${notes}/pull`, fourth.access_token)).body as { checkpoint: object }
    await later.stop()
    place.restore()

    const { client } = await place.start()
    expect(await client.refresh(newcomer.refresh_token)).toEqual(
      expect.objectContaining({ status: 400, body: { error: 'invalid_grant', error_description: expect.any(String) as string } }),
    )
    const resumed = await client.refreshed(fourth.refresh_token, 'a4')
    expect(resumed).toMatchObject({ session_id: account.session_id })
    expect(resumed.refresh_token.split('.')[3]).toBe('4')
    const stale = `checkpoint=${encodeURIComponent(JSON.stringify(checkpoint))}`
    expect(await client.get(`${notes}/pull?${stale}`, resumed.access_token)).toMatchObject({
      status: 410,
      body: { code: 'server_restored' },
    })
    expect((await client.get(`${notes}/pull`, resumed.access_token)).body).toMatchObject({ documents: [{ id: 'saved' }] })

    const again = { ...afterBackup, assumedMasterState: { id: 'lost', text: 'after', _deleted: false } }
    const edited = { ...again, newDocumentState: { id: 'lost', text: 'edited since' } }
    expect(await client.post(`${notes}/push`, [edited], resumed.access_token)).toMatchObject({ body: { conflicts: [], rejected: [] } })
    expect((await client.get(`${notes}/pull`, resumed.access_token)).body).toMatchObject({
      documents: [{ id: 'saved' }, { text: 'edited since' }],
    })
  })

  test('a checkpoint that the restored counter has overtaken is found out by the incarnation, once anybody was ahead', async () => {
    const place = await restorable(engine)
    const first = await place.start()
    const device = await first.client.newAccount()
    await first.stop()
    await place.backUp()
    const later = await place.start()
    const rotated = await later.client.refreshed(device.refresh_token)
    await later.client.post(`${notes}/push`, [{ newDocumentState: { id: '1' } }], rotated.access_token)
    const { checkpoint } = (await later.client.get(`${notes}/pull`, rotated.access_token)).body as { checkpoint: object }
    await later.stop()
    place.restore()

    const { client } = await place.start()
    const ahead = await client.refreshed(rotated.refresh_token)
    await client.post(`${notes}/push`, [{ newDocumentState: { id: 'other' } }, { newDocumentState: { id: 'another' } }], ahead.access_token)

    const stale = `checkpoint=${encodeURIComponent(JSON.stringify(checkpoint))}`
    expect(await client.get(`${notes}/pull?${stale}`, ahead.access_token)).toMatchObject({ status: 410, body: { code: 'server_restored' } })
  })
})
