import { expect, test } from 'vitest'
import { eventually, synced, testApp } from '../test/guarded-app.ts'

test('410 server_restored: nothing is removed here, and what the server has lost is uploaded again', async () => {
  const { server, db, guard, until, events } = await testApp()
  await db.notes.bulkInsert(['a', 'b', 'c'].map((id) => ({ id, text: 'x' })))
  await until((state) => synced(state) && server.documents('notes').length === 3)
  server.forget('notes', 'b')
  server.put('notes', { id: 'new', text: 'from the backup' })
  server.restore('two')

  await eventually(() => server.document('notes', 'b') !== undefined)
  await until((state) => synced(state) && state.rejected === 0)

  expect((await db.notes.find().exec()).map(({ id }) => id).sort()).toEqual(['a', 'b', 'c', 'new'])
  expect(events.some((event) => event.type === 'resync' && event.why === 'server-restored')).toBe(true)
  expect(await guard.pendingWrites()).toMatchObject({ count: 0 })
})

test('410 resync_required: what the server no longer has goes, what is pending stays', async () => {
  const { server, db, guard, until } = await testApp()
  await db.notes.bulkInsert(['a', 'b', 'c'].map((id) => ({ id, text: 'x' })))
  await until((state) => synced(state) && server.documents('notes').length === 3)
  await guard.suspend()
  server.forget('notes', 'b')
  server.forget('notes', 'c')
  await db.notes.findOne('c').modify((note) => ({ ...note, text: 'edited here' }))
  let once = true
  server.fault = ({ action }) => {
    if (action === 'push') return { status: 503, body: {} }
    if (action !== 'pull' || !once) return undefined
    once = false
    return { status: 410, body: { code: 'resync_required' } }
  }
  await guard.resume()

  await eventually(async () => (await db.notes.findOne('b').exec()) === null)

  expect((await db.notes.findOne('c').exec())?.text).toBe('edited here')
  expect(await guard.pendingWrites()).toMatchObject({ count: 1 })
})

test('an edit of a document of a scope that is only read is set aside, not sent', async () => {
  const { server, db, until, guard } = await testApp({ scopeField: 'text' })
  server.put('notes', { id: 'shared', text: 'public' })
  await until((state) => synced(state) && state.collections.notes?.received === 1)

  await db.notes.bulkInsert([
    { id: 'a', text: 'mine' },
    { id: 'b', text: 'public' },
  ])
  await db.notes.findOne('shared').remove()

  await until((state) => state.rejected === 2 && state.pending.exact && state.pending.count === 0)
  expect(server.documents('notes').map(({ id }) => id)).toEqual(['shared', 'a'])
  expect((await guard.rejectedWrites.list()).map(({ code }) => code)).toEqual(['read_only_scope', 'read_only_scope'])
  await guard.rejectedWrites.discard()
  expect(await db.notes.findOne('shared').exec()).not.toBeNull()
})
