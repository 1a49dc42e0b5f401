import { type LifecycleSignal, realmLocks, realWorld, type World } from '@nightlatch/auth-core/world'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { expect, onTestFinished, test } from 'vitest'
import { freezableWorld } from '../test/freezable-world.ts'
import { eventually, FakeSession, freshName, pause, synced, testApp } from '../test/guarded-app.ts'
import { WireServer } from '../test/wire-server.ts'

/** Two guards that share locks, messages and storage, as two tabs do. */
async function twoTabs({ server: given, ...options }: { readonly canKeep?: boolean; readonly server?: WireServer } = {}) {
  const server = given ?? (await WireServer.start())
  if (!given) onTestFinished(() => server.stop())
  server.validTokens.add('token-1')
  const locks = realmLocks()
  const storage = getRxStorageMemory()
  const id = freshName('tabs')
  const databaseName = freshName('db')
  const tab = (world: World) =>
    testApp({
      id,
      server,
      multiInstance: true,
      // RxDB refuses the same database twice in one realm; a copy of the storage under another name stands for the other tab's own.
      storage: { ...storage, name: freshName('memory') },
      session: new FakeSession('ada', 'token-1', { databaseName, ...options }),
      world,
    })
  const world = { ...realWorld(), locks: { ...locks, acrossTabs: true } }
  const { world: firstWorld, freeze, thaw } = freezableWorld(world)
  const first = await tab(firstWorld)
  await eventually(() => first.events.some(({ type }) => type === 'started'))
  if (!given) await first.until(synced)
  const second = await tab(world)
  onTestFinished(thaw) // a frozen tab cannot end
  return { server, first, second, freeze }
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

/** Two tabs of one app; the first one replicates and can be frozen. */
async function leaderThatFreezes() {
  const server = await WireServer.start()
  onTestFinished(() => server.stop())
  server.validTokens.add('token-1').add('token-2')
  const locks = realmLocks()
  const storage = getRxStorageMemory()
  const shared = { id: freshName('tabs'), databaseName: freshName('db') }
  const frozen = freezableWorld({ ...realWorld(), locks: { ...locks, acrossTabs: true } })
  const tab = (token: string, world: World) =>
    testApp({
      id: shared.id,
      server,
      multiInstance: true,
      storage: { ...storage, name: freshName('memory') },
      session: new FakeSession('ada', token, { databaseName: shared.databaseName }),
      world,
    })
  const first = await tab('token-1', frozen.world)
  await first.until(synced)
  const second = await tab('token-2', { ...realWorld(), locks: { ...locks, acrossTabs: true } })
  await eventually(() => second.guard.state.kind === 'synced')
  return { server, frozen, first, second }
}

test('G1: a frozen tab that leads is replaced after 5 s of silence, and is fenced before its next send', { timeout: 20_000 }, async () => {
  const { server, frozen, first, second } = await leaderThatFreezes()

  frozen.freeze()
  await eventually(() => second.events.some(({ type }) => type === 'started'), 10_000)
  const fencedAtMs = performance.now()
  await second.db.notes.insert({ id: 'a', text: 'x' }) // RxDB tells the first tab of it too, as if that one had just woken
  await eventually(() => server.document('notes', 'a') !== undefined)
  await pause(100)

  expect(server.requests.filter(({ atMs, token }) => token === 'token-1' && atMs > fencedAtMs)).toEqual([])
  expect(server.writers.get('token-2')).toEqual(['a'])
  frozen.thaw()
  await eventually(() => first.events.some((event) => event.type === 'lease' && event.state === 'lost'))
  await first.db.notes.insert({ id: 'b', text: 'y' })
  await eventually(() => server.document('notes', 'b') !== undefined)
  expect(server.writers.get('token-2')).toEqual(['a', 'b'])
})

test('G1: a tab that froze while it waited for a token is fenced too', { timeout: 20_000 }, async () => {
  const { server, frozen, first, second } = await leaderThatFreezes()
  first.session.answerAfterMs = 7_000
  await first.db.notes.insert({ id: 'a', text: 'x' })
  await eventually(() => first.guard.state.parked > 0)

  frozen.freeze()
  await eventually(() => second.events.some(({ type }) => type === 'started'), 10_000)
  const fencedAtMs = performance.now()
  await eventually(() => first.events.some((event) => event.type === 'lease' && event.state === 'lost'), 5_000)

  expect(server.requests.filter(({ atMs, token }) => token === 'token-1' && atMs > fencedAtMs)).toEqual([])
  expect(server.writers).toEqual(new Map([['token-2', ['a']]]))
  frozen.thaw()
})

test('a tab that becomes visible takes the lead from a hidden one', async () => {
  const server = await WireServer.start()
  onTestFinished(() => server.stop())
  server.validTokens.add('token-1')
  const locks = realmLocks()
  const storage = getRxStorageMemory()
  const shared = { id: freshName('tabs'), databaseName: freshName('db') }
  const visibility = () => {
    const listeners = new Set<(signal: LifecycleSignal) => void>()
    const lifecycle = {
      visible: true,
      watch: (listener: (signal: LifecycleSignal) => void) => {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
    }
    const show = (visible: boolean) => {
      lifecycle.visible = visible
      for (const listener of listeners) listener(visible ? 'visible' : 'hidden')
    }
    return { lifecycle, show }
  }
  const tab = async (view: ReturnType<typeof visibility>) =>
    testApp({
      id: shared.id,
      server,
      multiInstance: true,
      storage: { ...storage, name: freshName('memory') },
      session: new FakeSession('ada', 'token-1', { databaseName: shared.databaseName }),
      world: { ...realWorld(), locks: { ...locks, acrossTabs: true }, lifecycle: view.lifecycle },
    })
  const [one, two] = [visibility(), visibility()]
  const first = await tab(one)
  await first.until(synced)
  const second = await tab(two)
  one.show(false)

  two.show(true)

  await eventually(() => second.events.some(({ type }) => type === 'started'))
  await second.db.notes.insert({ id: 'a', text: 'x' })
  await eventually(() => server.document('notes', 'a') !== undefined)
})

const pulls = (server: WireServer) => server.requests.filter(({ action }) => action === 'pull').length

test('once() in a tab that does not replicate is a pass of the one that does', async () => {
  const { server, first, second } = await twoTabs()
  await second.until(synced)
  const before = pulls(server)

  await second.guard.once({ timeoutMs: 3_000 })

  expect(pulls(server)).toBeGreaterThan(before)
  expect(second.events.filter(({ type }) => type === 'started')).toEqual([])
  expect(second.guard.state.collections.notes?.pulledAtMs).toBe(first.guard.state.collections.notes?.pulledAtMs)
})

test('once() from another tab uploads what was written there and brings what the server has', async () => {
  const server = await WireServer.start()
  onTestFinished(() => server.stop())
  server.fault = ({ action }) => (action === 'stream' ? new Promise(() => {}) : undefined) // nobody hears of a change
  const { first, second } = await twoTabs({ server })
  await second.until(synced)
  server.put('notes', { id: 'theirs', text: 'x' })
  await second.db.notes.insert({ id: 'mine', text: 'y' })

  await second.guard.once({ timeoutMs: 3_000 })

  expect(server.document('notes', 'mine')).toBeDefined()
  expect(await first.db.notes.findOne('theirs').exec()).not.toBeNull()
})

test('G7: once() in a paused app, from whichever tab, syncs and leaves every tab paused', async () => {
  const { server, first, second } = await twoTabs()
  await first.guard.suspend()
  server.put('notes', { id: 'theirs', text: 'x' })
  await second.db.notes.insert({ id: 'mine', text: 'y' })

  await second.guard.once({ timeoutMs: 3_000 })

  expect(server.document('notes', 'mine')).toBeDefined()
  expect(first.guard.state).toMatchObject({ kind: 'halted', by: 'app' })
  expect(second.guard.state).toMatchObject({ kind: 'halted', by: 'app' })
  const sent = server.requests.length
  await first.db.notes.insert({ id: 'later', text: 'z' })
  await pause(60)
  expect(server.requests.length).toBe(sent)
})

test('once() that is aborted in another tab rejects at once and leaves a paused app paused', async () => {
  const { server, first, second } = await twoTabs()
  await first.guard.suspend()
  server.fault = ({ action }) => (action === 'pull' ? new Promise(() => {}) : undefined)
  const aborting = new AbortController()
  const before = pulls(server)
  const once = second.guard.once({ timeoutMs: 60_000, signal: aborting.signal })
  await eventually(() => pulls(server) > before)

  aborting.abort()

  await expect(once).rejects.toMatchObject({ code: 'upload-unavailable', message: 'Sync did not complete: aborted.' })
  expect(first.guard.state).toMatchObject({ kind: 'halted', by: 'app' })
  expect(second.guard.state).toMatchObject({ kind: 'halted', by: 'app' })
})

test('once() rejects in another tab as soon as the one that replicates finds the server away', async () => {
  const { server, second } = await twoTabs()
  await second.until(synced)
  server.fault = () => ({ status: 503, body: {} })
  server.cutStreams()

  await expect(second.guard.once({ timeoutMs: 60_000 })).rejects.toMatchObject({ message: 'Sync did not complete: offline.' })
})

test('once() goes on when the tab that replicates closes half way', async () => {
  const { server, first, second } = await twoTabs()
  await second.until(synced)
  let held = true
  server.fault = ({ action }) => (action === 'pull' && held ? new Promise(() => {}) : undefined)
  const before = pulls(server)
  const once = second.guard.once({ timeoutMs: 60_000 })
  await eventually(() => pulls(server) > before)

  held = false
  await first.guard.dispose()
  await once

  expect(second.events.some(({ type }) => type === 'started')).toBe(true)
})

test('once() and flush() take the lease from a tab that replicates and has fallen silent', { timeout: 20_000 }, async () => {
  const { server, second, freeze } = await twoTabs()
  await second.until(synced)
  await eventually(() => second.guard.state.kind === 'synced')
  freeze()
  server.fault = ({ action }) => (action === 'push' && !second.events.some(({ type }) => type === 'started') ? 'never-answer' : undefined)
  await second.db.notes.insert({ id: 'a', text: 'x' })

  const [report] = await Promise.all([second.guard.flush({ timeoutMs: 15_000 }), second.guard.once({ timeoutMs: 15_000 })])

  expect(report).toMatchObject({ pending: 0, stoppedBy: 'done' })
  expect(second.events.some(({ type }) => type === 'started')).toBe(true)
  expect(server.document('notes', 'a')).toBeDefined()
})

test('firstSync() resolves in a tab that was opened while another one pulled for the first time', async () => {
  const server = await WireServer.start()
  onTestFinished(() => server.stop())
  let answer: () => void = () => {}
  const answered = new Promise<undefined>((resolve) => {
    answer = () => resolve(undefined)
  })
  server.fault = ({ action }) => (action === 'pull' ? answered : undefined)
  const { second } = await twoTabs({ server })
  const synced = second.guard.firstSync(second.db.notes)

  answer()
  await synced

  expect(second.events.filter(({ type }) => type === 'started')).toEqual([])
})
