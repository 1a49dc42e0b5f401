import { realmLocks, realWorld } from '@nightlatch/auth-core/world'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, FakeSession, freshName, pause, synced, type TestApp, testApp } from '../test/guarded-app.ts'
import { WireServer } from '../test/wire-server.ts'

/** Two guards that share locks, messages and storage, as two tabs do. */
async function twoTabs(options: { readonly canKeep?: boolean } = {}): Promise<{ server: WireServer; first: TestApp; second: TestApp }> {
  const server = await WireServer.start()
  onTestFinished(() => server.stop())
  server.validTokens.add('token-1')
  const locks = realmLocks()
  const storage = getRxStorageMemory()
  const id = freshName('tabs')
  const databaseName = freshName('db')
  const tab = () =>
    testApp({
      id,
      server,
      multiInstance: true,
      // RxDB refuses the same database twice in one realm; a copy of the storage under another name stands for the other tab's own.
      storage: { ...storage, name: freshName('memory') },
      session: new FakeSession('ada', 'token-1', { databaseName, ...options }),
      world: { ...realWorld(), locks: { ...locks, acrossTabs: true } },
    })
  const first = await tab()
  await first.until(synced)
  return { server, first, second: await tab() }
}

test('one tab replicates; the other writes, counts and shows the state', async () => {
  const { server, first, second } = await twoTabs()

  await second.db.notes.insert({ id: 'a', text: 'from the second tab' })

  await second.until(synced)
  await eventually(() => server.document('notes', 'a') !== undefined)
  await first.until(synced)
  await second.until((state) => state.pending.exact && state.pending.count === 0)
  expect(second.events.filter(({ type }) => type === 'started')).toEqual([])
})

test('G1: a log-out in the tab that does not replicate halts the one that does', async () => {
  const { server, first, second } = await twoTabs()
  server.fault = ({ action }) => (action === 'push' ? { status: 503, body: {} } : undefined)
  await first.db.notes.insert({ id: 'a', text: 'x' })
  await eventually(() => first.guard.state.kind === 'offline')

  const report = await second.guard.end()
  const sent = server.requests.length

  expect(report).toMatchObject({ kept: 1, silentTabs: 0 })
  expect(first.guard.state).toMatchObject({ kind: 'halted', by: 'leave' })
  await eventually(() => first.db.closed)
  await pause(60)
  expect(server.requests.length).toBe(sent)
})

test('a refused log-out in one tab leaves every tab as it was', async () => {
  const { server, first, second } = await twoTabs({ canKeep: false })
  server.fault = ({ action }) => (action === 'push' ? { status: 503, body: {} } : undefined)
  await first.db.notes.insert({ id: 'a', text: 'x' })

  await expect(second.guard.end()).rejects.toMatchObject({ code: 'pending-writes', pending: 1 })

  server.fault = () => undefined
  await first.db.notes.insert({ id: 'b', text: 'open again' })
  await first.until(synced)
  expect(server.documents('notes')).toHaveLength(2)
})

test('when the tab that replicates closes, the other goes on', async () => {
  const { server, first, second } = await twoTabs()
  await first.guard.dispose()

  await second.db.notes.insert({ id: 'a', text: 'x' })

  await eventually(() => server.document('notes', 'a') !== undefined)
})

test('G7: a pause reaches all tabs, and so does its end', async () => {
  const { server, first, second } = await twoTabs()
  await second.guard.suspend()
  expect(first.guard.state).toMatchObject({ kind: 'halted', by: 'app' })

  await first.db.notes.insert({ id: 'a', text: 'x' })
  await pause(50)
  expect(server.document('notes', 'a')).toBeUndefined()

  await second.guard.resume()
  await eventually(() => server.document('notes', 'a') !== undefined)
})
