/**
 * What RxDB 17.6 does that the guard works around. If one of these fails, RxDB has changed: see whether the workaround can go, and what else it meant.
 */
import { createRxDatabase, type RxCollection, type RxDatabase } from 'rxdb/plugins/core'
import { type RxReplicationState, replicateRxCollection } from 'rxdb/plugins/replication'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, foreignDatabase, freshName, type Note, type NotesDatabase, noteSchema, pause } from '../test/guarded-app.ts'
import { metaCollectionName, ReplicationMeta } from './replication-meta.ts'

const nothing = { documents: [], checkpoint: undefined }

async function notes(): Promise<RxCollection<Note>> {
  const db = await foreignDatabase()
  onTestFinished(() => void db.close())
  return db.notes
}

function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open = () => {}
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open }
}

const settled = async (work: Promise<unknown>, ms = 200) => Promise.race([work.then(() => true), pause(ms).then(() => false)])

test('pause() and start() after a failed push lose a write for good', async () => {
  const collection = await notes()
  await collection.insert({ id: 'a', text: 'x' })
  const pull = gate()
  const pushed: string[] = []
  let refuse = true
  const state = replicateRxCollection<Note, number>({
    collection,
    replicationIdentifier: 'canary',
    retryTime: 100,
    waitForLeadership: false,
    pull: {
      handler: async (checkpoint) => {
        if (checkpoint) return { documents: [], checkpoint }
        await pull.passed
        return { documents: [{ id: 'remote', text: 'y', _deleted: false }], checkpoint: 1 }
      },
    },
    push: {
      handler: async (rows) => {
        if (refuse) throw new Error('401')
        pushed.push(...rows.map(({ newDocumentState }) => newDocumentState.id))
        return []
      },
    },
  })
  await new Promise((resolve) => state.error$.subscribe(resolve))
  pull.open()
  await eventually(async () => (await collection.findOne('remote').exec()) !== null)
  await state.pause()
  await pause(200)
  refuse = false
  await state.start()
  await state.awaitInSync()
  await pause(100)
  expect(pushed).not.toContain('a')
})

test('cancel() resolves before what was pulled is written', async () => {
  const collection = await notes()
  const reading = gate()
  const storage = collection.storageInstance
  const { findDocumentsById } = storage
  let asked = false
  storage.findDocumentsById = async (ids, deleted) => {
    asked = true
    await reading.passed
    return findDocumentsById.call(storage, ids, deleted)
  }
  const state = replicateRxCollection<Note, number>({
    collection,
    replicationIdentifier: 'canary',
    waitForLeadership: false,
    pull: { handler: async () => ({ documents: [{ id: 'late', text: 'y', _deleted: false }], checkpoint: 1 }) },
  })
  await eventually(() => asked)
  await state.cancel()
  reading.open()
  await eventually(async () => (await findDocumentsById.call(storage, ['late'], false)).length === 1)
})

test('cancel() and close() of a replication that is not live hang while its first sync fails', async () => {
  const collection = await notes()
  const state = replicateRxCollection<Note, number>({
    collection,
    replicationIdentifier: 'canary',
    live: false,
    retryTime: 20,
    waitForLeadership: false,
    pull: { handler: () => Promise.reject(new Error('401')) },
  })
  await pause(50)
  expect(await settled(state.cancel())).toBe(false)
  state.startQueue = Promise.resolve()
  await state._cancel()
})

test('a push that the server took and RxDB did not record comes again, with the state from before', async () => {
  const collection = await notes()
  const answer = gate()
  const rows: { assumed: unknown }[] = []
  const replicate = (): RxReplicationState<Note, number> =>
    replicateRxCollection<Note, number>({
      collection,
      replicationIdentifier: 'canary',
      waitForLeadership: false,
      push: {
        handler: async ([row]) => {
          rows.push({ assumed: row?.assumedMasterState })
          if (rows.length === 1) await answer.passed
          return []
        },
      },
    })
  await collection.insert({ id: 'a', text: 'one' })
  const first = replicate()
  await eventually(() => rows.length === 1)
  await first.cancel()
  answer.open()
  await replicate().awaitInSync()
  expect(rows).toEqual([{ assumed: undefined }, { assumed: undefined }])
})

test('an HTTP status does not survive on error$; code and extensions do', async () => {
  const collection = await notes()
  const state = replicateRxCollection<Note, number>({
    collection,
    replicationIdentifier: 'canary',
    waitForLeadership: false,
    pull: { handler: () => Promise.reject(Object.assign(new Error('no'), { status: 401, response: {}, code: 'C', extensions: { a: 1 } })) },
  })
  const error = await new Promise<{ parameters: { errors?: unknown[] } }>((resolve) => state.error$.subscribe((e) => resolve(e)))
  const [told] = (error.parameters.errors ?? []) as Record<string, unknown>[]
  expect(told).toMatchObject({ code: 'C', extensions: { a: 1 } })
  expect(told).not.toHaveProperty('status')
})

test('cancelling in a tab that does not lead stops nothing', { timeout: 20_000 }, async () => {
  const storage = getRxStorageMemory()
  const name = freshName('leader')
  const pushed: string[] = []
  const tab = async (): Promise<[RxDatabase<NotesDatabase>, RxReplicationState<Note, number>]> => {
    const db = await createRxDatabase<NotesDatabase>({ name, storage: { ...storage, name: freshName('memory') }, multiInstance: true })
    await db.addCollections({ notes: { schema: noteSchema } })
    onTestFinished(() => void db.close())
    const state = replicateRxCollection<Note, number>({
      collection: db.notes,
      replicationIdentifier: 'canary',
      push: {
        handler: async (rows) => {
          pushed.push(...rows.map(({ newDocumentState }) => newDocumentState.id))
          return []
        },
      },
    })
    return [db, state]
  }
  const [leader] = await tab()
  await eventually(() => leader.isLeader(), 10_000)
  const [follower, state] = await tab()
  await state.cancel()
  await follower.notes.insert({ id: 'a', text: 'x' })
  await eventually(() => pushed.includes('a'))
})

test('a page that becomes visible un-pauses; pause() before the first start does nothing', async () => {
  const collection = await notes()
  const page = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  Object.assign(globalThis, { document: page })
  const state = replicateRxCollection<Note, number>({
    collection,
    replicationIdentifier: 'canary',
    waitForLeadership: false,
    autoStart: false,
    pull: { handler: async () => nothing },
  })
  await state.pause()
  await state.start()
  expect(state.isPaused()).toBe(false)
  await state.pause()
  expect(state.isPaused()).toBe(true)
  page.dispatchEvent(new Event('visibilitychange'))
  await eventually(() => !state.isPaused())
  await state.cancel()
  Reflect.deleteProperty(globalThis, 'document')
})

test('an acknowledgement that meets a newer revision of its row is dropped without a word', async () => {
  const collection = await notes()
  const meta = await ReplicationMeta.open(collection as never, 'canary')
  await collection.insert({ id: 'a', text: 'x' })
  const errors: unknown[] = []
  const state = replicateRxCollection<Note, number>({
    collection,
    replicationIdentifier: 'canary',
    waitForLeadership: false,
    push: {
      handler: async ([row]) => {
        const docData = { ...row?.newDocumentState, _deleted: true }
        const document = { id: meta.metaId('a'), itemId: 'a', isCheckpoint: '0' as const, docData, _attachments: {}, _deleted: false }
        await meta.instance.bulkWrite([{ document: { ...document, _meta: { lwt: 1000 }, _rev: '1-x' } }], 'canary')
        return []
      },
    },
  })
  state.error$.subscribe((error) => errors.push(error))
  await state.awaitInSync()
  expect([...(await meta.unacknowledged(['a'])).keys()]).toEqual(['a'])
  expect(errors).toEqual([])
})

test('the meta data of a replication is stored under the name that the guard expects', async () => {
  const collection = await notes()
  const state = replicateRxCollection<Note, number>({
    collection,
    replicationIdentifier: 'canary',
    autoStart: false,
    pull: { handler: async () => nothing },
  })
  expect((await state.metaInfoPromise).collectionName).toBe(await metaCollectionName(collection as never, 'canary'))
})

test('what the guard needs of a replication state is there', async () => {
  const collection = await notes()
  const state = replicateRxCollection<Note, number>({
    collection,
    replicationIdentifier: 'canary',
    waitForLeadership: false,
    pull: { handler: async () => nothing },
  })
  await state.awaitInitialReplication()
  expect(state.internalReplicationState?.streamQueue.up).toBeInstanceOf(Promise)
  expect(state.internalReplicationState?.streamQueue.down).toBeInstanceOf(Promise)
  expect(state.internalReplicationState?.checkpointQueue).toBeInstanceOf(Promise)
  expect(state.startQueue).toBeInstanceOf(Promise)
  expect(state.subjects.active.getValue()).toBe(false)
})
