import { expect, test } from 'vitest'
import { eventually, pause, synced, testApp } from '../test/guarded-app.ts'

async function withRefusedWrite() {
  const app = await testApp()
  await app.until(synced)
  const refusing = { on: true }
  app.server.fault = ({ action, ids }) =>
    action === 'push' && ids.includes('bad') && refusing.on ? { status: 422, body: { code: 'no_good' } } : undefined
  await app.db.notes.bulkInsert([
    { id: 'good', text: 'x' },
    { id: 'bad', text: 'x' },
  ])
  await app.until((state) => state.rejected === 1 && state.pending.exact && state.pending.count === 0)
  return { ...app, refusing }
}

test('a refused write is listed, and sent again on demand', async () => {
  const { guard, server, until, refusing } = await withRefusedWrite()
  expect(await guard.rejectedWrites.list()).toMatchObject([
    { collection: 'notes', documentId: 'bad', code: 'no_good', state: { text: 'x' } },
  ])

  refusing.on = false
  await guard.rejectedWrites.retry({ collection: 'notes', documentId: 'bad' })

  await until((state) => synced(state) && state.rejected === 0)
  expect(server.document('notes', 'bad')).toBeDefined()
  expect(await guard.rejectedWrites.list()).toEqual([])
})

test('a refused write is refused again when it is retried in vain, and is never lost', async () => {
  const { guard, db, until } = await withRefusedWrite()
  await guard.rejectedWrites.retry()
  await pause(50)
  await until((state) => state.rejected === 1 && state.pending.exact && state.pending.count === 0)
  expect(await db.notes.findOne('bad').exec()).not.toBeNull()
})

test('a refused write can be discarded; what the server never had is gone, and nothing is pushed', async () => {
  const { guard, db, server, until } = await withRefusedWrite()
  expect(await guard.rejectedWrites.discard({ collection: 'notes', documentId: 'bad' })).toBe(1)
  await until((state) => state.rejected === 0 && state.pending.exact && state.pending.count === 0)
  expect(await db.notes.findOne('bad').exec()).toBeNull()
  await pause(50)
  expect(server.document('notes', 'bad')).toBeUndefined()
})

test('refused writes survive a restart and are still no pending ones', async () => {
  const { guard, session$, session, open, until } = await withRefusedWrite()
  expect(await guard.end()).toMatchObject({ kept: 1 })
  session$.next(null)
  session$.next(session)
  await open()
  await until((state) => state.rejected === 1 && state.pending.exact && state.pending.count === 0)
})

test('exportPending gives what the server does not have, refused or not yet sent', async () => {
  const { guard, db, server } = await withRefusedWrite()
  server.fault = ({ action }) => (action === 'push' ? { status: 503, body: {} } : undefined)
  await db.notes.insert({ id: 'waiting', text: 'y' })
  const exported = await guard.exportPending()
  expect(exported.sort((a, b) => (a.documentId < b.documentId ? -1 : 1))).toMatchObject([
    { documentId: 'bad', rejected: 'no_good', state: { text: 'x' } },
    { documentId: 'waiting', state: { text: 'y' } },
  ])
})

test('whenUploaded waits for the server; firstSync for the first complete pull', async () => {
  const { guard, db, server, until } = await testApp()
  await guard.firstSync(db.notes)
  server.delayMs = 20
  const note = await db.notes.insert({ id: 'a', text: 'x' })
  await guard.whenUploaded(note)
  expect(server.document('notes', 'a')).toBeDefined()
  await until(synced)
})

test('whenUploaded can be given up', async () => {
  const { guard, db, server, until } = await testApp()
  await until(synced)
  server.fault = ({ action }) => (action === 'push' ? { status: 503, body: {} } : undefined)
  const note = await db.notes.insert({ id: 'a', text: 'x' })
  await expect(guard.whenUploaded(note, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ name: 'TimeoutError' })
})

test('once() is one guarded pass while the app has paused sync', async () => {
  const { guard, db, server, until } = await testApp()
  await until(synced)
  await guard.suspend()
  await db.notes.insert({ id: 'a', text: 'x' })
  server.put('notes', { id: 'b', text: 'y' })

  await guard.once()

  expect(server.document('notes', 'a')).toBeDefined()
  expect(await db.notes.findOne('b').exec()).not.toBeNull()
  expect(guard.state).toMatchObject({ kind: 'halted', by: 'app' })
})

test('once() says when it cannot be done now', async () => {
  const { guard, server, until } = await testApp()
  await until(synced)
  await guard.suspend()
  server.fault = () => ({ status: 503, body: {} })
  await expect(guard.once({ timeoutMs: 1_000 })).rejects.toMatchObject({ code: 'upload-unavailable' })
  expect(guard.state).toMatchObject({ kind: 'halted', by: 'app' })
})

test('flush tells its progress and what stopped it', async () => {
  const { guard, db, server, session, until } = await testApp()
  await until(synced)
  server.delayMs = 10
  await guard.suspend()
  await db.notes.bulkInsert(Array.from({ length: 20 }, (_, i) => ({ id: `n${i}`, text: 'x' })))
  expect(await guard.flush()).toMatchObject({ uploaded: 0, pending: 20, stoppedBy: 'halted' })
  await guard.resume()
  const seen: number[] = []
  expect(await guard.flush({ onProgress: ({ pending }) => seen.push(pending) })).toMatchObject({
    uploaded: 20,
    pending: 0,
    stoppedBy: 'done',
  })
  expect(seen.at(-1)).toBe(0)

  session.over = 'expired'
  server.validTokens.clear()
  await db.notes.insert({ id: 'late', text: 'x' })
  expect(await guard.flush()).toMatchObject({ pending: 1, stoppedBy: 'login-required' })
  await eventually(() => guard.state.kind === 'login-required')
})
