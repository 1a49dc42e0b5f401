import 'fake-indexeddb/auto'
import { realmLocks, realWorld } from '@nightlatch/auth-core/world'
import { addRxPlugin, type RxCollectionCreator } from 'rxdb/plugins/core'
import { RxDBMigrationSchemaPlugin } from 'rxdb/plugins/migration-schema'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, FakeSession, freshName, noteSchema, pause, synced, testApp } from '../test/guarded-app.ts'
import { WireServer } from '../test/wire-server.ts'
import type { SyncState } from './index.ts'

addRxPlugin(RxDBMigrationSchemaPlugin)

const shouting = ({ text }: Record<string, unknown>) => ({ shout: String(text).toUpperCase() })
const { properties } = noteSchema
const versions: RxCollectionCreator[] = [
  { schema: noteSchema },
  {
    schema: { ...noteSchema, version: 1, properties: { ...properties, shout: { type: 'string' } } },
    migrationStrategies: { 1: (note: Record<string, unknown>) => ({ ...note, ...shouting(note) }) },
  },
  {
    schema: { ...noteSchema, version: 2, properties: { ...properties, shout: { type: 'string' }, seen: { type: 'boolean' } } },
    migrationStrategies: {
      1: (note: Record<string, unknown>) => ({ ...note, ...shouting(note) }),
      2: (note: Record<string, unknown>) => ({ ...note, seen: false }),
    },
  },
]

const oneRejected = (state: SyncState) => state.rejected === 1 && state.pending.exact && state.pending.count === 0

/** An app that is closed and opened again, later in a newer version, over what it left on the device. */
async function updatedApp() {
  const server = await WireServer.start()
  onTestFinished(() => server.stop())
  server.validTokens.add('token-1')
  const databaseName = freshName('db')
  // Locks and names of its own each time: those of an app that has crashed are gone.
  const open = (version: number, collection = versions[version]) =>
    testApp({
      server,
      storage: Object.assign(getRxStorageDexie(), { name: freshName('storage') }),
      world: { ...realWorld(), locks: realmLocks() },
      session: new FakeSession('ada', 'token-1', { databaseName }),
      ...(collection && { collection }),
    })
  const pushed = () => server.requests.filter(({ action }) => action === 'push').flatMap(({ ids }) => ids)
  return { server, open, pushed }
}

/** One new note and one edit that the server will not have, as version 0 has left them. */
async function withRefusedNotes(...bad: ('new' | 'edited')[]) {
  const app = await updatedApp()
  const { server } = app
  const refusing = { on: true }
  const first = await app.open(0)
  server.put('notes', { id: 'edited', text: 'before' })
  await first.until((state) => synced(state) && state.collections.notes?.received === 1)
  server.fault = ({ action, ids }) =>
    action === 'push' && refusing.on && ids.some((id) => id === 'new' || id === 'edited')
      ? { status: 422, body: { code: 'no_good' } }
      : undefined
  if (bad.includes('new')) await first.db.notes.insert({ id: 'new', text: 'x' })
  if (bad.includes('edited')) await first.db.notes.findOne('edited').incrementalPatch({ text: 'after' })
  await first.until((state) => state.rejected === bad.length && state.pending.exact && state.pending.count === 0)
  await first.guard.dispose()
  server.requests.splice(0)
  return { ...app, refusing }
}

test('G3: a refused write is still a refused one after an update of the app, in the shape of today, and is not sent again', async () => {
  const { open, pushed } = await withRefusedNotes('new')
  const { guard, until } = await open(1)
  await until((state) => state.kind === 'synced' && oneRejected(state))

  expect(await guard.rejectedWrites.list()).toMatchObject([
    { documentId: 'new', code: 'no_good', state: { id: 'new', text: 'x', shout: 'X', _deleted: false } },
  ])
  expect(await guard.pendingWrites()).toMatchObject({ count: 0, rejected: 1 })
  await pause(100)
  expect(pushed()).toEqual([])
})

test('a refused write is sent in the shape of today when it is retried after an update', async () => {
  const { server, open, pushed, refusing } = await withRefusedNotes('new')
  const { guard, until } = await open(1)
  await until(oneRejected)
  refusing.on = false
  await guard.rejectedWrites.retry()

  await until((state) => synced(state) && state.rejected === 0)
  expect(server.document('notes', 'new')).toEqual({ id: 'new', text: 'x', shout: 'X', _deleted: false })
  expect(pushed()).toEqual(['new'])
  expect(await guard.rejectedWrites.list()).toEqual([])
})

test('a refused write that is discarded after an update leaves what the server has, in the shape of today, and nothing is pushed', async () => {
  const { open, pushed } = await withRefusedNotes('new', 'edited')
  const { guard, db, until } = await open(1)
  await until((state) => state.rejected === 2 && state.pending.exact && state.pending.count === 0)

  expect(await guard.rejectedWrites.discard()).toBe(2)

  await until((state) => state.rejected === 0 && state.pending.exact && state.pending.count === 0)
  expect((await db.notes.find().exec()).map((note) => note.toJSON())).toEqual([{ id: 'edited', text: 'before', shout: 'BEFORE' }])
  await pause(100)
  expect(pushed()).toEqual([])
})

test('G3: a refused write survives an update that is broken off, and two updates at once', async () => {
  const { open, pushed } = await withRefusedNotes('edited')
  const migrating = Promise.withResolvers<void>()
  const never = Promise.withResolvers<void>()
  const brokenOff = open(1, {
    schema: { ...versions[1]?.schema } as never,
    migrationStrategies: {
      1: async (note: Record<string, unknown>) => {
        migrating.resolve()
        await never.promise
        return { ...note, ...shouting(note) }
      },
    },
  })
  onTestFinished(async () => {
    never.resolve()
    await brokenOff
  })
  await migrating.promise

  const { guard, until } = await open(2)
  await until((state) => state.kind === 'synced' && oneRejected(state))
  expect(await guard.rejectedWrites.list()).toMatchObject([{ documentId: 'edited', state: { text: 'after', shout: 'AFTER', seen: false } }])
  expect(pushed()).toEqual([])
})

test('a refused write that the app drops in its migration is listed no more', async () => {
  const { open } = await withRefusedNotes('new', 'edited')
  const { guard, until } = await open(1, {
    ...(versions[1] as RxCollectionCreator),
    migrationStrategies: { 1: (note: Record<string, unknown>) => (note.id === 'new' ? null : { ...note, ...shouting(note) }) },
  })
  await until(oneRejected)
  expect((await guard.rejectedWrites.list()).map(({ documentId }) => documentId)).toEqual(['edited'])
})

test('G3: the first edit of a document after an update reaches a server that still has it in the old shape; a real conflict stays one', async () => {
  const { server, open } = await updatedApp()
  const first = await open(0)
  await first.db.notes.bulkInsert(['a', 'b', 'untouched'].map((id) => ({ id, text: 'one' })))
  await first.until((state) => synced(state) && server.documents('notes').length === 3)
  await first.guard.dispose()

  server.fault = ({ action }) => (action === 'stream' || action === 'pull' ? 'cut-before' : undefined)
  server.put('notes', { id: 'b', text: 'by somebody else' })
  const second = await open(2)
  await second.db.notes.findOne('a').incrementalPatch({ text: 'two' })
  await second.db.notes.findOne('b').incrementalPatch({ text: 'two' })
  await eventually(async () => (await second.guard.pendingWrites()).count === 0)

  expect(server.document('notes', 'a')).toMatchObject({ text: 'two', shout: 'ONE', seen: false })
  expect((await second.db.notes.findOne('a').exec())?.text).toBe('two')
  expect(server.document('notes', 'b')).toMatchObject({ text: 'by somebody else' })
  expect(server.document('notes', 'untouched')).toEqual({ id: 'untouched', text: 'one', _deleted: false })
})

for (const server of ['is updated with the app', 'is not'] as const) {
  test(`G3: a push of unknown outcome is known as our own after an update, and a newer edit stays, when the server ${server}`, async () => {
    const app = await updatedApp()
    const first = await app.open(0)
    await first.until(synced)
    app.server.fault = ({ action }) => (action === 'push' ? 'cut-after' : undefined)
    await first.db.notes.insert({ id: 'a', text: 'one' })
    await eventually(() => app.server.document('notes', 'a') !== undefined)
    await first.guard.dispose()
    if (server === 'is updated with the app') app.server.migrate('notes', shouting)

    app.server.fault = () => 'cut-before'
    const second = await app.open(1)
    await second.db.notes.findOne('a').incrementalPatch({ text: 'two' })
    app.server.fault = () => undefined

    await second.until((state) => synced(state) && app.server.document('notes', 'a')?.text === 'two')
    expect((await second.db.notes.findOne('a').exec())?.text).toBe('two')
    expect(second.events.some(({ type }) => type === 'repeated-push-recognised')).toBe(true)
  })
}
