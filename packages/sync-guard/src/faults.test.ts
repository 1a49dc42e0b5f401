import { expect, onTestFinished, test } from 'vitest'
import { FaultProxy, type NetworkFault } from '../test/fault-proxy.ts'
import { eventually, FakeSession, freshName, pause, synced, testApp } from '../test/guarded-app.ts'
import { randomFrom } from '../test/log-out-runs.ts'
import { WireServer } from '../test/wire-server.ts'

const faults: readonly NetworkFault[] = ['none', 'drop-before', 'drop-after', 'stall', 'cut', 'duplicate']

test('G3: over a bad link and expiring tokens everything written is on the server once, and its last state is the last edit', {
  timeout: 60_000,
}, async () => {
  const random = randomFrom(Number(process.env.NIGHTLATCH_SEED ?? 7))
  const server = await WireServer.start()
  const proxy = await FaultProxy.start(server.url)
  onTestFinished(async () => {
    await proxy.stop()
    await server.stop()
  })
  let bad = true
  let dealt = 0
  proxy.next = () => {
    if (!bad || random() < 0.5) return 'none'
    dealt += 1
    return faults[dealt % faults.length] ?? 'none'
  }
  const isMissing = (fault: NetworkFault) => proxy.hits[fault] === 0
  const session = new FakeSession('ada', 'token-0', { databaseName: freshName('bad-link') })
  server.validTokens.add('token-0')
  let tokens = 0
  const expire = setInterval(() => {
    tokens += 1
    session.next.push(`token-${tokens}`)
    server.validTokens.clear()
    server.validTokens.add(`token-${tokens}`)
  }, 120)
  onTestFinished(() => clearInterval(expire))
  session.getToken = newestToken(session)
  const { db, until, guard } = await testApp({ server, session, via: proxy.url, policy: { firstRetryMs: 5, longestRetryMs: 40 } })

  const last = new Map<string, string>()
  for (let i = 0; i < 150 || (i < 3_000 && faults.some(isMissing)); i += 1) {
    const id = `n${Math.floor(random() * 40)}`
    await db.notes.incrementalUpsert({ id, text: `${i}` })
    last.set(id, `${i}`)
    if (i % 10 === 0) server.put('notes', { id: `remote-${i}`, text: 'r' })
    await pause(random() * 10)
  }
  bad = false

  await until(synced)
  await eventually(() => [...last].every(([id, text]) => server.document('notes', id)?.text === text), 20_000)
  const stored = server.documents('notes').map(({ id }) => String(id))
  expect(new Set(stored).size).toBe(stored.length)
  expect(stored.filter((id) => id.startsWith('n')).sort()).toEqual([...last.keys()].sort())
  await eventually(async () => (await db.notes.find().exec()).length === stored.length)
  expect(await guard.pendingWrites()).toMatchObject({ count: 0, rejected: 0 })
  for (const fault of faults) expect(proxy.hits[fault], fault).toBeGreaterThan(0)
})

/** A session that knows the newest token as soon as an older one is refused. */
function newestToken(session: FakeSession): FakeSession['getToken'] {
  return async (options) => {
    if (options?.rejected !== undefined) session.token = session.next.at(-1) ?? session.token
    return session.token
  }
}

test('G2: two users take turns on one device; no document ever travels with the other one’s token', { timeout: 60_000 }, async () => {
  const random = randomFrom(Number(process.env.NIGHTLATCH_SEED ?? 11))
  const server = await WireServer.start()
  onTestFinished(() => server.stop())
  const app = await testApp({ server, session: new FakeSession('user-a', 'token-a'), id: freshName('turns') })
  server.validTokens.add('token-a').add('token-b')
  server.delayMs = 2
  const written: Record<string, string[]> = { a: [], b: [] }
  let db = app.db
  for (let turn = 0; turn < 24; turn += 1) {
    const who = turn % 2 === 0 ? 'a' : 'b'
    if (turn > 0) {
      app.session$.next(new FakeSession(`user-${who}`, `token-${who}`))
      db = await app.open()
    }
    const writes = 1 + Math.floor(random() * 5)
    for (let i = 0; i < writes; i += 1) {
      const id = `${who}-${turn}-${i}`
      await db.notes.insert({ id, text: who })
      written[who]?.push(id)
      await pause(random() * 6)
    }
    if (random() < 0.3) await app.until(synced)
    if (random() < 0.5) await app.guard.end()
  }
  for (const who of ['a', 'b']) {
    app.session$.next(null)
    app.session$.next(new FakeSession(`user-${who}`, `token-${who}`))
    await app.open()
    await eventually(() => written[who]?.every((id) => server.document('notes', id) !== undefined) === true)
  }
  const crossings = ['a', 'b'].flatMap((who) => (server.writers.get(`token-${who}`) ?? []).filter((id) => !id.startsWith(`${who}-`)))
  expect(crossings).toEqual([])
})
