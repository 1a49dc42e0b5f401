import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { filter, firstValueFrom } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, type Note, synced, testApp } from '../test/guarded-app.ts'
import { purgeDocuments } from './purge-documents.ts'
import { type AnyCollection, ReplicationMeta } from './replication-meta.ts'

/** Three notes that the server has, and the guard at rest. */
async function threeNotes() {
  const app = await testApp({ storage: getRxStorageMemory() })
  const { db, guard, until, server } = app
  await db.notes.bulkInsert(['a', 'b', 'c'].map((id) => ({ id, text: 'of the server' })))
  await until((state) => synced(state) && server.documents('notes').length === 3)
  await guard.suspend()
  const collection = db.notes as unknown as AnyCollection
  const meta = await ReplicationMeta.open(collection, 'notes-v1')
  onTestFinished(() => meta.close())
  const texts = async () => Object.fromEntries((await db.notes.find().exec()).map(({ id, text }: Note) => [id, text]))
  return { ...app, collection, meta, texts }
}

/** Does something else instead of, or before, the next write of documents. */
function beforeTheNextWrite(collection: AnyCollection, interfere: () => Promise<void>) {
  const storage = collection.storageInstance.originalStorageInstance
  const write = storage.bulkWrite.bind(storage)
  storage.bulkWrite = async (rows, context) => {
    if (context !== 'nightlatch-purge') return write(rows, context)
    storage.bulkWrite = write
    await interfere()
    return write(rows, context)
  }
}

test('removes what is asked for without a push, and leaves no content', async () => {
  const { collection, meta, texts, guard, server } = await threeNotes()

  expect(await purgeDocuments(collection, meta, ['a', 'b', 'nowhere'])).toBe(2)

  expect(await texts()).toEqual({ c: 'of the server' })
  const left = await collection.storageInstance.findDocumentsById(['a', 'b'], true)
  expect(JSON.stringify(left)).not.toContain('of the server')
  expect(await guard.pendingWrites()).toMatchObject({ count: 0, exact: true })
  await guard.resume()
  await firstValueFrom(guard.state$.pipe(filter(synced)))
  expect(server.documents('notes').filter(({ _deleted }) => _deleted)).toEqual([])
})

test('G3: a write that comes between looking and removing stays, and is pending', async () => {
  const { db, collection, meta, texts, guard } = await threeNotes()
  await db.notes.findOne('a').modify((note) => ({ ...note, text: 'edited before' }))
  beforeTheNextWrite(collection, async () => {
    await db.notes.findOne('b').modify((note) => ({ ...note, text: 'edited meanwhile' }))
  })

  expect(await purgeDocuments(collection, meta, ['a', 'b', 'c'])).toBe(1)

  expect(await texts()).toEqual({ a: 'edited before', b: 'edited meanwhile' })
  expect(await guard.pendingWrites()).toMatchObject({ count: 2 })
})

test('G3: cut off between its two writes it deletes nothing on the server, goes on later, and spares what was edited since', async () => {
  const { db, collection, meta, texts, guard, server } = await threeNotes()
  beforeTheNextWrite(collection, () => Promise.reject(new Error('The tab was closed.')))
  await expect(purgeDocuments(collection, meta, ['a', 'b', 'c'])).rejects.toThrow('The tab was closed.')
  await db.notes.findOne('b').modify((note) => ({ ...note, text: 'edited since' }))

  expect(await purgeDocuments(collection, meta, ['a', 'b', 'c'])).toBe(2)

  expect(await texts()).toEqual({ b: 'edited since' })
  await guard.resume()
  await eventually(async () => (await guard.pendingWrites()).count === 0)
  expect(server.documents('notes').filter(({ _deleted }) => _deleted)).toEqual([])
})
