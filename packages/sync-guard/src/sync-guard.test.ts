import { expect, test } from 'vitest'
import { eventually, FakeSession, freshName, pause, synced, testApp } from '../test/guarded-app.ts'

test('uploads what was written and receives what others wrote', async () => {
  const { db, server, until } = await testApp()
  server.put('notes', { id: 'theirs', text: 'from the server' })
  await db.notes.insert({ id: 'mine', text: 'from here' })

  await until((state) => synced(state) && state.collections.notes?.received === 1)

  expect(server.document('notes', 'mine')).toMatchObject({ text: 'from here' })
  expect((await db.notes.findOne('theirs').exec())?.text).toBe('from the server')
})

test('hears of changes through the stream, also after it was cut', async () => {
  const { db, server, until } = await testApp()
  await until(synced)
  await eventually(() => server.requests.some(({ action }) => action === 'stream'))
  server.cutStreams()
  await eventually(() => server.requests.filter(({ action }) => action === 'stream').length >= 2)

  server.put('notes', { id: 'later', text: 'x' })

  await eventually(async () => (await db.notes.findOne('later').exec()) !== null)
})

test('G4: one 401 storm makes one refresh, and parks everything meanwhile', async () => {
  const { server, session, db, until, guard } = await testApp()
  await until(synced)
  server.validTokens.clear()
  server.validTokens.add('token-2')
  session.next = ['token-2']
  session.answerAfterMs = 50
  const before = server.requests.length

  await db.notes.bulkInsert(Array.from({ length: 20 }, (_, i) => ({ id: `n${i}`, text: 'x' })))
  server.put('notes', { id: 'other', text: 'y' })
  await until((state) => synced(state) && state.collections.notes?.received === 1)

  const refused = server.requests.slice(before).filter(({ token }) => token === 'token-1')
  expect(session.refreshed).toBe(1)
  expect(session.mostAtOnce).toBe(1)
  expect(refused.length).toBeLessThanOrEqual(2) // pull and push may be on their way at the same instant
  expect(guard.state.pending.count).toBe(0)
})

test('G5: a second 401 with a fresh token blocks and is probed, without another refresh', async () => {
  const { server, session, db, until } = await testApp()
  await until(synced)
  server.fault = ({ action }) => (action === 'push' ? { status: 401, body: { code: 'token_invalid' } } : undefined)
  session.next = ['token-2', 'token-3']
  server.validTokens.add('token-2')
  await db.notes.insert({ id: 'a', text: 'x' })

  await until((state) => state.kind === 'blocked' && state.cause === 'token-rejected')
  await pause(100)
  expect(session.refreshed).toBe(1)

  server.fault = () => undefined
  await until(synced)
  expect(server.document('notes', 'a')).toBeDefined()
})

test('G5: 403 on the collection blocks it, keeps the write, and goes on when allowed again', async () => {
  const { server, db, until, guard } = await testApp()
  await until(synced)
  server.fault = ({ action }) => (action === 'push' ? { status: 403, body: { code: 'scope_denied' } } : undefined)
  await db.notes.insert({ id: 'a', text: 'x' })

  await until((state) => state.kind === 'blocked' && state.cause === 'forbidden')
  await eventually(() => guard.state.pending.exact && guard.state.pending.count === 1)

  server.fault = () => undefined
  await until(synced)
})

test('G5: the row the server refuses is set aside, the rest passes, and an edit brings it back', async () => {
  const { server, db, until, guard } = await testApp()
  await until(synced)
  server.fault = ({ action, ids }) =>
    action === 'push' && ids.includes('bad') && !allowed ? { status: 422, body: { code: 'no_good' } } : undefined
  let allowed = false
  await db.notes.bulkInsert(['a', 'b', 'bad', 'c', 'd'].map((id) => ({ id, text: 'x' })))

  await until((state) => state.rejected === 1 && state.pending.count === 0 && state.pending.exact)
  expect(
    server
      .documents('notes')
      .map(({ id }) => id)
      .sort(),
  ).toEqual(['a', 'b', 'c', 'd'])
  expect(await guard.pendingWrites()).toMatchObject({ count: 0, rejected: 1 })

  allowed = true
  await db.notes.findOne('bad').modify((note) => ({ ...note, text: 'better' }))
  await until((state) => synced(state) && state.rejected === 0)
  expect(server.document('notes', 'bad')).toMatchObject({ text: 'better' })
})

test('backs off on 503 with Retry-After as offline and goes on by itself', async () => {
  const { server, db, until, events } = await testApp()
  await until(synced)
  let refusals = 0
  server.fault = ({ action }) => {
    if (action !== 'push' || refusals >= 2) return undefined
    refusals += 1
    return { status: 503, headers: { 'retry-after': '0' }, body: { code: 'busy' } }
  }
  await db.notes.insert({ id: 'a', text: 'x' })

  await until((state) => state.kind === 'offline')
  await until(synced)

  expect(server.document('notes', 'a')).toBeDefined()
  expect(events.filter(({ type }) => type === 'backing-off').length).toBe(2)
})

test("a captive portal's page is no answer: nothing is lost and sync goes on afterwards", async () => {
  const { server, db, until, guard } = await testApp()
  await until(synced)
  server.fault = () => ({ status: 200, html: true, body: '<h1>Please log in</h1>' })
  await db.notes.insert({ id: 'a', text: 'x' })
  await until((state) => state.kind === 'offline')
  await eventually(() => guard.state.pending.exact && guard.state.pending.count === 1)

  server.fault = () => undefined
  await until(synced)
  expect(server.document('notes', 'a')).toBeDefined()
})

test('G4: a session that is over asks for a login once, keeps data open, and a new session goes on', async () => {
  const { server, session, session$, db, until, reasons, guard } = await testApp()
  await until(synced)
  server.validTokens.clear()
  session.over = 'expired'
  await db.notes.insert({ id: 'a', text: 'while expired' })

  const state = await until(({ kind }) => kind === 'login-required')
  expect(state).toMatchObject({ reason: 'expired' })
  await db.notes.insert({ id: 'b', text: 'still writable' })
  await eventually(() => guard.state.pending.count === 2 && guard.state.pending.exact)
  const sent = server.requests.length
  await pause(100)
  expect(server.requests.length).toBe(sent)
  expect(reasons).toEqual(['expired'])

  server.validTokens.add('token-9')
  session$.next(new FakeSession('ada', 'token-9', { databaseName: db.name }))
  await until(synced)
  expect(
    server
      .documents('notes')
      .map(({ id }) => id)
      .sort(),
  ).toEqual(['a', 'b'])
})

test('login-required at a cold start, also for a late subscriber, and without any request', async () => {
  const session = new FakeSession('ada', 'token-1')
  session.over = 'revoked'
  const { server, until, reasons } = await testApp({ session })

  await until((state) => state.kind === 'login-required' && state.reason === 'revoked')

  expect(reasons).toEqual(['revoked'])
  expect(server.requests).toEqual([])
})

test('a session that cannot give a token now parks sync and tries again', async () => {
  const session = new FakeSession('ada', 'token-1')
  session.unavailable = true
  const { server, db, until } = await testApp({ session })
  server.validTokens.add('token-1')
  await db.notes.insert({ id: 'a', text: 'x' })
  await until(({ kind }) => kind === 'offline')
  expect(server.requests).toEqual([])

  session.unavailable = false
  await until(synced)
})

test('G7: what the app paused stays paused over a new session, and goes on at resume', async () => {
  const { server, db, session$, guard, until } = await testApp()
  await until(synced)
  await guard.suspend()
  expect(guard.state).toMatchObject({ kind: 'halted', by: 'app' })
  const sent = server.requests.length

  server.validTokens.add('token-2')
  session$.next(new FakeSession('ada', 'token-2', { databaseName: db.name }))
  await db.notes.insert({ id: 'a', text: 'x' })
  await pause(60)
  expect(server.requests.length).toBe(sent)
  await eventually(() => guard.state.pending.count === 1)

  await guard.resume()
  await until(synced)
  expect(server.document('notes', 'a')).toBeDefined()
})

test('end keeps what could not be sent, counts it exactly, and the next log-in uploads it', async () => {
  const { server, db, session$, guard, open, until } = await testApp()
  await until(synced)
  server.fault = ({ action }) => (action === 'push' ? { status: 503, body: {} } : undefined)
  await db.notes.bulkInsert(Array.from({ length: 7 }, (_, i) => ({ id: `n${i}`, text: 'x' })))

  const report = await guard.end()

  expect(report).toMatchObject({ uploaded: 0, kept: 7, discarded: 0, silentTabs: 0 })
  expect(guard.state).toMatchObject({ kind: 'halted', by: 'leave' })
  expect(db.closed).toBe(true)
  session$.next(null)
  server.fault = () => undefined
  server.validTokens.add('token-2')
  session$.next(new FakeSession('ada', 'token-2', { databaseName: db.name }))
  await open()
  await until((state) => synced(state) && state.collections.notes !== undefined)
})

test('end with upload sends what is pending first, and gives up at once when offline', async () => {
  const { server, db, guard, until } = await testApp()
  await until(synced)
  server.delayMs = 20
  await db.notes.bulkInsert(Array.from({ length: 5 }, (_, i) => ({ id: `n${i}`, text: 'x' })))
  expect(await guard.end({ unsynced: 'upload', timeoutMs: 3_000 })).toMatchObject({ uploaded: 5, kept: 0 })

  const offline = await testApp()
  await offline.until(synced)
  await offline.server.stop()
  await offline.db.notes.insert({ id: 'a', text: 'x' })
  const startedAtMs = performance.now()
  expect(await offline.guard.end({ unsynced: 'upload', timeoutMs: 10_000 })).toMatchObject({ uploaded: 0, kept: 1 })
  expect(performance.now() - startedAtMs).toBeLessThan(3_000)
})

test('end refuses where nobody could open the data again, changes nothing, and leaves with discard', async () => {
  const session = new FakeSession('guest', 'token-1', { canKeep: false })
  const { server, db, guard, until } = await testApp({ session })
  server.validTokens.add('token-1')
  await until(synced)
  server.fault = ({ action }) => (action === 'push' ? { status: 503, body: {} } : undefined)
  await db.notes.insert({ id: 'a', text: 'x' })

  await expect(guard.end()).rejects.toMatchObject({ code: 'pending-writes', pending: 1 })

  server.fault = () => undefined
  await db.notes.insert({ id: 'b', text: 'writes are open again' })
  await until(synced)
  expect(server.documents('notes')).toHaveLength(2)
  server.fault = ({ action }) => (action === 'push' ? { status: 503, body: {} } : undefined)
  await db.notes.insert({ id: 'c', text: 'x' })
  expect(await guard.end({ unsynced: 'discard' })).toMatchObject({ discarded: 1, kept: 0 })
})

test('discard puts documents back to what the server has', async () => {
  const { server, db, guard, session$, open, until } = await testApp()
  server.put('notes', { id: 'a', text: 'server' })
  await until((state) => synced(state) && state.collections.notes?.received === 1)
  server.fault = ({ action }) => (action === 'push' ? { status: 503, body: {} } : undefined)
  await db.notes.findOne('a').modify((note) => ({ ...note, text: 'edited' }))
  await db.notes.insert({ id: 'new', text: 'x' })

  expect(await guard.end({ unsynced: 'discard' })).toMatchObject({ discarded: 2, kept: 0 })

  session$.next(null)
  session$.next(new FakeSession('ada', 'token-1', { databaseName: db.name }))
  const again = await open()
  expect((await again.notes.find().exec()).map(({ id, text }) => ({ id, text }))).toEqual([{ id: 'a', text: 'server' }])
  await until((state) => synced(state) && state.pending.count === 0)
})

test('end twice, during start and with a handler that never answers resolves within the deadline', async () => {
  const { db, guard, server, until } = await testApp()
  await until(synced)
  server.fault = ({ action }) => (action === 'push' ? new Promise(() => {}) : undefined)
  await db.notes.insert({ id: 'a', text: 'x' })
  await eventually(() => server.requests.some(({ action }) => action === 'push'))
  const startedAtMs = performance.now()

  const [first, second] = await Promise.all([guard.end(), guard.end()])

  expect(performance.now() - startedAtMs).toBeLessThan(3_000)
  expect(first).toEqual(second)
  expect(first).toMatchObject({ kept: 1, unknownOutcome: 1 })
  expect(await guard.end()).toMatchObject({ kept: 0 })
})

test("G2: A's documents never travel with B's token, and B does not see them", async () => {
  const ada = new FakeSession('ada', 'token-a')
  const { server, guard, session$, db, open, until } = await testApp({ session: ada, id: freshName('switch') })
  server.validTokens.add('token-a').add('token-b')
  await until(synced)
  server.fault = ({ action, token }) => (action === 'push' && token === 'token-a' ? { status: 503, body: {} } : undefined)
  await db.notes.insert({ id: 'from-ada', text: 'x' })

  session$.next(new FakeSession('bob', 'token-b'))
  await eventually(() => db.closed)
  const bobs = await open()
  await bobs.notes.insert({ id: 'from-bob', text: 'y' })
  await until((state) => synced(state) && server.document('notes', 'from-bob') !== undefined)

  expect(server.writers.get('token-b')).toEqual(['from-bob'])
  expect(await bobs.notes.findOne('from-ada').exec()).toBeNull()
  session$.next(new FakeSession('ada', 'token-a'))
  server.fault = () => undefined
  await eventually(() => bobs.closed)
  await open()
  await eventually(() => server.document('notes', 'from-ada') !== undefined)
  expect(server.writers.get('token-a')).toEqual(['from-ada'])
  expect(guard.state.kind).not.toBe('blocked')
})

test('G6: the count is exact through insert, edit, delete and return to the server state', async () => {
  const { server, db, guard, until } = await testApp()
  server.put('notes', { id: 'known', text: 'server' })
  await until((state) => synced(state) && state.collections.notes?.received === 1)
  await guard.suspend()
  await db.notes.bulkInsert(['a', 'b', 'c'].map((id) => ({ id, text: 'x' })))
  await db.notes.findOne('b').remove()
  const known = await db.notes.findOne('known').exec(true)
  await known.incrementalPatch({ text: 'edited' })

  await eventually(() => guard.state.pending.exact && guard.state.pending.count === 4, 1_000)
  expect((await guard.pendingWrites()).count).toBe(4)

  await known.incrementalPatch({ text: 'server' })
  await eventually(() => guard.state.pending.exact && guard.state.pending.count === 3, 1_000)
})

test('a push whose answer was lost is recognised, and the edit made meanwhile survives', async () => {
  const { server, db, until, events } = await testApp()
  await until(synced)
  let cut = false
  server.fault = ({ action }) => {
    if (action !== 'push' || cut) return undefined
    cut = true
    return 'cut-after'
  }
  await db.notes.insert({ id: 'a', text: 'one' })
  await eventually(() => server.document('notes', 'a') !== undefined)
  await db.notes.findOne('a').modify((note) => ({ ...note, text: 'two' }))

  await until((state) => synced(state) && server.document('notes', 'a')?.text === 'two')
  expect((await db.notes.findOne('a').exec())?.text).toBe('two')
  expect(events.every(({ type }) => type !== 'handler-failed')).toBe(true)
})

test('G3: a push cut off by a log-out is known as our own after the next log-in, and the edit made meanwhile survives', async () => {
  const { server, db, guard, session$, open, until, events } = await testApp()
  await until(synced)
  let hold = true
  server.fault = async ({ action }) => {
    if (action !== 'push' || !hold) return undefined
    return 'never-answer'
  }
  await db.notes.insert({ id: 'a', text: 'one' })
  await eventually(() => server.document('notes', 'a') !== undefined)

  expect(await guard.suspend()).toMatchObject({ unknownOutcome: 1 })
  await db.notes.findOne('a').modify((note) => ({ ...note, text: 'two' }))
  expect(await guard.end()).toMatchObject({ kept: 1 })

  hold = false
  server.validTokens.add('token-2')
  session$.next(null)
  await guard.resume()
  session$.next(new FakeSession('ada', 'token-2', { databaseName: db.name }))
  const again = await open()
  await until((state) => synced(state) && server.document('notes', 'a')?.text === 'two')
  expect((await again.notes.findOne('a').exec())?.text).toBe('two')
  expect(events.some(({ type }) => type === 'repeated-push-recognised')).toBe(true)
})

test('G3: going back to the state that was pulled is a write like any other', async () => {
  const { server, db, until } = await testApp()
  server.put('notes', { id: 'a', text: 'A' })
  await until((state) => synced(state) && state.collections.notes?.received === 1)
  for (const text of ['B', 'A', 'B', 'A']) {
    await db.notes.findOne('a').modify((note) => ({ ...note, text }))
    await eventually(() => server.document('notes', 'a')?.text === text)
  }
  await until(synced)
})

test('a document that was just pulled is not pushed back, and an old answer does not undo a push', async () => {
  const { server, db, guard, until } = await testApp()
  await until(synced)
  for (let i = 0; i < 30; i += 1) {
    server.put('notes', { id: `r${i % 5}`, text: `${i}` })
    await db.notes.incrementalUpsert({ id: `l${i % 5}`, text: `${i}` })
    await pause(i % 3)
    if (i % 10 === 5) await guard.suspend()
    if (i % 10 === 6) await guard.resume()
  }
  await until(synced)
  await eventually(async () => (await db.notes.find().exec()).every(({ id, text }) => server.document('notes', id)?.text === text))
  const pushed = server.requests.filter(({ action }) => action === 'push').flatMap(({ ids }) => ids)
  expect(pushed.filter((id) => id.startsWith('r'))).toEqual([])
  expect(server.document('notes', 'l4')).toMatchObject({ text: '29' })
})

test('the state of a replication without push is the same object as long as nothing happens', async () => {
  const { guard, db, until } = await testApp()
  await until(synced)
  await guard.suspend()
  guard.replicate({
    collection: db.notes,
    replicationIdentifier: 'pull-only',
    pull: { handler: async (checkpoint) => ({ documents: [], checkpoint: checkpoint ?? {} }) },
  })
  await eventually(() => guard.state.kind === 'halted' && guard.state.collections.notes?.pending.exact === true)
  const { state } = guard

  await pause(20)

  expect(guard.state).toBe(state)
})
