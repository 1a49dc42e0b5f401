import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { moveData } from '../admin/move-data.ts'
import { openDatabase } from '../database/open-database.ts'
import { silentLog } from '../log.ts'
import { startServer } from '../start-server.ts'
import { temporaryDataDir } from '../testing/temporary-data-dir.ts'
import { startTemporaryPostgres } from '../testing/temporary-postgres.ts'
import { TestClient } from '../testing/test-client.ts'
import { testEngines } from '../testing/test-server.ts'
import { exportedTables } from './export-import.ts'

vi.setConfig({ testTimeout: 120_000 })
const config = { collections: { notes: { schemaVersion: 0 } } }
const notes = '/v1/sync/notes/0'
const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

async function emptyPlace(engine: 'pglite' | 'postgresql') {
  const directory = await temporaryDataDir({ withDatabase: engine === 'pglite' })
  undo.push(directory.remove)
  if (engine === 'pglite') return { dataDir: directory.path }
  const postgres = await startTemporaryPostgres()
  undo.push(() => postgres.stop())
  return { dataDir: directory.path, databaseUrl: await postgres.createDatabase() }
}

function temporaryFile() {
  const folder = mkdtempSync(join(tmpdir(), 'nightlatch-export-'))
  undo.push(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'everything.ndjson')
}

/** Every engine is once the source and once the target. */
const moves = testEngines.map((from, n) => [from, testEngines[(n + 1) % testEngines.length] ?? from] as const)

describe.each(moves)('from %s to %s', (from, to) => {
  test('everything moves: accounts, sessions, documents; clients pull anew because the incarnation is another', async () => {
    const source = await emptyPlace(from)
    const first = await startServer({ ...source, config })
    const before = new TestClient(first.url)
    const account = await before.newAccount()
    const rows = Array.from({ length: 700 }, (_, n) => ({ newDocumentState: { id: `n${n}`, text: 'ä\\n"🦆', nested: [null, 1.5] } }))
    await before.post(`${notes}/push`, rows, account.access_token)
    const pulled = (await before.get(`${notes}/pull?limit=1000`, account.access_token)).body as { documents: object[]; checkpoint: object }
    await first.close()
    const file = temporaryFile()
    let bars = ''
    await moveData('export', file, source, (text) => (bars += text))
    expect(bars).toContain('sync_docs      [##############################] 700/700')
    expect(statSync(file).mode & 0o077).toBe(0)

    const target = await emptyPlace(to)
    await moveData('import', file, target, () => {})
    const second = await startServer({ ...target, keyFile: join(source.dataDir, 'keys.json'), config })
    undo.push(() => second.close())

    const client = new TestClient(second.url)
    const session = await client.refreshed(account.refresh_token)
    await client.logIn(account.email, account.password)
    const stale = `checkpoint=${encodeURIComponent(JSON.stringify(pulled.checkpoint))}`
    expect(await client.get(`${notes}/pull?${stale}`, session.access_token)).toMatchObject({
      status: 410,
      body: { code: 'server_restored' },
    })
    const moved = (await client.get(`${notes}/pull?limit=1000`, session.access_token)).body as { documents: object[] }
    expect(moved.documents).toEqual(pulled.documents)
  })
})

test('refuses a database that is not empty, a cut file and another file, and leaves nothing behind', async () => {
  const source = await emptyPlace('pglite')
  const server = await startServer({ ...source, config })
  await new TestClient(server.url).newAccount()
  await server.close()
  const file = temporaryFile()
  await moveData('export', file, source, () => {})
  await expect(moveData('import', file, source, () => {})).rejects.toThrow('not empty')

  const target = await emptyPlace('pglite')
  const whole = readFileSync(file, 'utf8')
  writeFileSync(file, whole.slice(0, whole.lastIndexOf('"table":"audit_log"') - 1))
  await expect(moveData('import', file, target, () => {})).rejects.toThrow('cut')
  writeFileSync(file, 'something else\n')
  await expect(moveData('import', file, target, () => {})).rejects.toThrow('not a Nightlatch export')
  writeFileSync(file, whole)
  await moveData('import', file, target, () => {})
})

test('the list of exported tables is complete', async () => {
  const place = await emptyPlace('pglite')
  await (await startServer({ ...place, config })).close()
  const database = await openDatabase(place, silentLog)
  undo.push(database.close)

  const { rows } = await sql<{ name: string }>`select tablename as name from pg_tables where schemaname = 'public'`.execute(database.db)

  const bookkeeping = ['kysely_migration', 'kysely_migration_lock']
  expect(rows.map(({ name }) => name).sort()).toEqual([...exportedTables, ...bookkeeping].sort())
})
