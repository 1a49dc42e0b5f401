import { RxDBAttachmentsPlugin } from 'rxdb/plugins/attachments'
import { addRxPlugin, type RxCollection, type RxCollectionCreator, type RxDatabase } from 'rxdb/plugins/core'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { wrappedValidateAjvStorage } from 'rxdb/plugins/validate-ajv'
import { BehaviorSubject, filter, firstValueFrom } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, FakeSession, freshName, IMPATIENT, synced } from '../test/guarded-app.ts'
import { createSyncGuard, HttpFailure, type PushRow, type ReplicateOptions } from './index.ts'

addRxPlugin(RxDBAttachmentsPlugin)

type Stored = Record<string, unknown> & { _deleted: boolean }

/** A server in memory that knows nothing but documents with a key. */
class PlainServer {
  readonly stored = new Map<string, { readonly document: Stored; readonly at: number }>()
  readonly #keyOf: (document: Record<string, unknown>) => string
  #at = 0
  resyncRequired = false

  constructor(keyOf: (document: Record<string, unknown>) => string) {
    this.#keyOf = keyOf
  }

  put(document: Record<string, unknown>): void {
    this.#at += 1
    this.stored.set(this.#keyOf(document), { document: { _deleted: false, ...document }, at: this.#at })
  }

  get documents(): Stored[] {
    return [...this.stored.values()].map(({ document }) => document)
  }

  pull(since: number, limit: number) {
    if (this.resyncRequired && since > 0) {
      this.resyncRequired = false
      throw new HttpFailure({ status: 410, code: 'resync_required' })
    }
    const page = [...this.stored.values()].filter(({ at }) => at > since).slice(0, limit)
    return { documents: page.map(({ document }) => document), checkpoint: { at: page.at(-1)?.at ?? since } }
  }

  push(rows: readonly PushRow<Stored>[]) {
    for (const { newDocumentState } of rows) this.put(newDocumentState)
    return []
  }
}

interface Setting {
  readonly collection: RxCollectionCreator
  readonly keyOf?: (document: Record<string, unknown>) => string
  readonly directions?: readonly ('pull' | 'push')[]
}

async function appWith({ collection, keyOf = ({ id }) => String(id), directions = ['pull', 'push'] }: Setting) {
  const server = new PlainServer(keyOf)
  const guard = createSyncGuard({
    id: freshName('collections'),
    session$: new BehaviorSubject(new FakeSession('ada', 'token', { databaseName: freshName('db') })),
    policy: IMPATIENT,
  })
  onTestFinished(() => guard.dispose())
  const db: RxDatabase<{ things: RxCollection<Stored> }> = await guard.openDatabase({
    storage: wrappedValidateAjvStorage({ storage: getRxStorageMemory() }),
    multiInstance: false,
    collections: { things: collection },
  })
  const options: ReplicateOptions<Stored, { at: number }> = {
    collection: db.things,
    replicationIdentifier: 'things',
    ...(directions.includes('pull') && {
      pull: { handler: async (checkpoint, limit) => server.pull(checkpoint?.at ?? 0, limit) },
    }),
    ...(directions.includes('push') && { push: { handler: async (rows) => server.push(rows) } }),
  }
  const replication = guard.replicate(options)
  const until = (matches: Parameters<typeof filter<typeof guard.state>>[0]) => firstValueFrom(guard.state$.pipe(filter(matches)))
  const ids = async () => (await db.things.find().exec()).map(({ primary }) => primary).sort()
  return { server, guard, db, replication, until, ids }
}

const schema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 20 },
    size: { type: 'number', minimum: 0, maximum: 99, multipleOf: 1 },
    text: { type: 'string' },
  },
  required: ['id', 'size', 'text'],
  indexes: ['size'],
} as const

const composed = {
  version: 0,
  primaryKey: { key: 'id', fields: ['land', 'nr'], separator: '|' },
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 40 },
    land: { type: 'string', maxLength: 20 },
    nr: { type: 'string', maxLength: 10 },
    text: { type: 'string' },
  },
  required: ['id', 'land', 'nr', 'text'],
} as const

test('a composed primary key: the server need not know of it', async () => {
  const { server, db, guard, replication, until, ids } = await appWith({
    collection: { schema: composed },
    keyOf: ({ land, nr }) => `${String(land)}|${String(nr)}`,
  })
  server.put({ land: 'norway', nr: '1', text: 'theirs' })
  await db.things.insert({ land: 'chile', nr: '2', text: 'mine' } as never)
  await until((state) => synced(state) && server.documents.length === 2)
  await eventually(async () => (await ids()).length === 2)

  expect(await ids()).toEqual(['chile|2', 'norway|1'])
  server.stored.delete('norway|1')
  server.put({ land: 'peru', nr: '3', text: 'new' })
  server.resyncRequired = true
  replication.reSync()
  await eventually(async () => (await ids()).join() === 'chile|2,peru|3')
  expect(await guard.pendingWrites()).toMatchObject({ count: 0 })
})

test('a collection that is only pulled: what the server has forgotten goes, and its content with it', async () => {
  const { server, db, replication, until, ids } = await appWith({ collection: { schema }, directions: ['pull'] })
  for (const id of ['a', 'b']) server.put({ id, size: 1, text: 'x' })
  await until((state) => state.kind === 'synced' && state.collections.things?.received === 2)
  server.stored.delete('a')
  server.resyncRequired = true
  replication.reSync()

  await eventually(async () => !(await ids()).includes('a'))
  expect(await ids()).toEqual(['b'])
  const [gone] = await db.things.storageInstance.findDocumentsById(['a'], true)
  expect(gone).toMatchObject({ id: 'a', size: 1, text: '', _deleted: true }) // what an index needs stays
})

test('a validator that insists on content gets it', async () => {
  const strict = { ...schema, properties: { ...schema.properties, text: { type: 'string', pattern: '^[a-z]+$' } } } as const
  const { server, db, replication, until, ids } = await appWith({ collection: { schema: strict } })
  for (const id of ['a', 'b']) server.put({ id, size: 1, text: 'x' })
  await until((state) => synced(state) && state.collections.things?.received === 2)

  server.stored.delete('a')
  server.resyncRequired = true
  replication.reSync()

  await eventually(async () => (await ids()).join() === 'b')
  await until(synced)
  const [gone] = await db.things.storageInstance.findDocumentsById(['a'], true)
  expect(gone).toMatchObject({ text: 'x', _deleted: true })
  expect(server.documents).toMatchObject([{ id: 'b' }])
})

test('a collection that is only pushed counts, uploads and survives a halt', async () => {
  const { server, db, guard, until } = await appWith({ collection: { schema }, directions: ['push'] })
  await db.things.insert({ id: 'a', size: 1, text: 'x' } as never)
  await until((state) => state.pending.exact && state.pending.count === 0 && server.documents.length === 1)
  await guard.suspend()
  await db.things.insert({ id: 'b', size: 1, text: 'x' } as never)
  await until((state) => state.pending.exact && state.pending.count === 1)

  await guard.resume()

  await until((state) => state.pending.exact && state.pending.count === 0)
  expect(server.documents.map(({ id }) => id)).toEqual(['a', 'b'])
})

test('attachments travel with their documents, and count as a write', async () => {
  const { server, db, guard, until } = await appWith({ collection: { schema: { ...schema, attachments: {} } } })
  const thing = await db.things.insert({ id: 'a', size: 1, text: 'x' } as never)
  await until((state) => synced(state) && server.documents.length === 1)
  await guard.suspend()
  await thing.putAttachment({ id: 'photo.txt', type: 'text/plain', data: new Blob(['a goose']) })
  await until((state) => state.pending.exact && state.pending.count === 1)

  await guard.resume()

  await until(synced)
  const [{ _attachments } = { _attachments: undefined }] = server.documents
  const photo = (_attachments as Record<string, { type: string; data: Blob | string }>)['photo.txt']
  expect(photo).toMatchObject({ type: 'text/plain' })
  expect(photo?.data).toBeDefined()
})
