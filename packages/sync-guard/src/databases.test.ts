import 'fake-indexeddb/auto'
import { createRxDatabase, type RxCollection } from 'rxdb/plugins/core'
import { replicateRxCollection } from 'rxdb/plugins/replication'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { BehaviorSubject } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import {
  eventually,
  FakeSession,
  foreignDatabase,
  freshName,
  IMPATIENT,
  type Note,
  type NotesDatabase,
  noteSchema,
  pause,
  synced,
  testApp,
} from '../test/guarded-app.ts'
import { WireServer } from '../test/wire-server.ts'
import { dexieEraser } from './dexie/index.ts'
import { httpReplication } from './http/index.ts'
import { createSyncGuard, type SyncSession } from './index.ts'

const names = async (part: string) => (await indexedDB.databases()).flatMap(({ name }) => (name?.includes(part) ? [name] : []))

test('a wipe leaves no IndexedDB database, while RxDB alone leaves all', async () => {
  const databaseName = freshName('wipe')
  const session = new FakeSession('ada', 'token-1', { databaseName })
  const { guard, db, until, server } = await testApp({ session, storage: getRxStorageDexie(), eraser: dexieEraser() })
  server.validTokens.add('token-1')
  await db.notes.insert({ id: 'a', text: 'x' })
  await until(synced)
  await guard.end()
  expect((await names(databaseName)).length).toBeGreaterThan(2)

  expect(await guard.wipe(databaseName)).toBe('verified')
  expect(await names(databaseName)).toEqual([])

  const plain = freshName('plain')
  const alone = await createRxDatabase<NotesDatabase>({ name: plain, storage: getRxStorageDexie(), multiInstance: false })
  await alone.addCollections({ notes: { schema: noteSchema } })
  await alone.remove()
  expect((await names(plain)).length).toBeGreaterThan(0)
})

test('a wipe touches no database whose name only begins alike', async () => {
  const name = freshName('alike')
  for (const one of [name, `${name}--0`, `${name}x`]) {
    await new Promise((resolve) => {
      indexedDB.open(`rxdb-dexie-${one}--0--notes`).onsuccess = ({ target }) => resolve((target as IDBOpenDBRequest).result.close())
    })
  }
  expect(await dexieEraser()(name)).toBe('verified')
  expect(await names(name)).toEqual([`rxdb-dexie-${name}x--0--notes`])
})

test('a database that something still holds open is told, and the wipe is finished later', async () => {
  const name = freshName('held')
  const held = await new Promise<IDBDatabase>((resolve) => {
    indexedDB.open(`rxdb-dexie-${name}--0--notes`).onsuccess = ({ target }) => resolve((target as IDBOpenDBRequest).result)
  })
  const guard = createSyncGuard({
    id: freshName('g'),
    session$: new BehaviorSubject<SyncSession | null>(null),
    eraser: dexieEraser(),
    policy: { tabDeadlineMs: 0 },
  })
  onTestFinished(() => guard.dispose())
  expect(await guard.wipe(name)).toEqual({ blockedBy: `rxdb-dexie-${name}--0--notes` })
  held.close()
  expect(await guard.finishWipes([name])).toEqual([name])
})

test('without an eraser a wipe says that it is not verified', async () => {
  const { guard, db } = await testApp()
  await guard.end()
  expect(await guard.wipe(db.name)).toBe('not-verified')
})

test("G2: an app's own database is marked for its user; another one's documents never travel", async () => {
  const server = await WireServer.start()
  onTestFinished(() => server.stop())
  server.validTokens.add('token-a').add('token-b')
  const db = await foreignDatabase()
  onTestFinished(() => void db.close())
  const session$ = new BehaviorSubject<SyncSession | null | undefined>(new FakeSession('ada', 'token-a'))
  const guard = createSyncGuard({ id: freshName('own'), session$, policy: { ...IMPATIENT, tabDeadlineMs: 0 } })
  onTestFinished(() => guard.dispose())
  const replicate = () =>
    guard.replicate({
      collection: db.notes,
      replicationIdentifier: 'notes-v1',
      ...httpReplication<Note>({ server: server.url, collection: 'notes' }),
    })
  replicate()
  await db.notes.insert({ id: 'first', text: 'x' })
  await eventually(() => server.document('notes', 'first') !== undefined)

  session$.next(new FakeSession('bob', 'token-b'))
  const bobs = replicate()
  await db.notes.insert({ id: 'second', text: 'y' })
  await eventually(() => bobs.state.activity.kind === 'blocked')
  await pause(50)
  expect(bobs.state.activity).toEqual({ kind: 'blocked', cause: 'foreign-database' })
  expect(server.writers.get('token-b')).toBeUndefined()
  await expect(guard.adoptDatabase(db as never)).rejects.toMatchObject({ code: 'database-belongs-to-another-user' })
  await bobs.dispose()

  session$.next(new FakeSession('ada', 'token-a'))
  await eventually(() => server.document('notes', 'second') !== undefined)
  expect(server.writers.get('token-a')).toEqual(['first', 'second'])
})

test('G3: writes that a pause of RxDB left behind are found at the first start, repaired and told', async () => {
  const db = await foreignDatabase()
  onTestFinished(() => void db.close())
  const pushed = await strandAWrite(db.notes)
  expect(pushed).toEqual([])
  const server = await WireServer.start()
  onTestFinished(() => server.stop())
  server.validTokens.add('token-1')
  const session$ = new BehaviorSubject<SyncSession | null>(new FakeSession('ada', 'token-1'))
  const guard = createSyncGuard({ id: freshName('stuck'), session$, policy: { ...IMPATIENT, tabDeadlineMs: 0 } })
  onTestFinished(() => guard.dispose())
  const repaired: unknown[] = []
  guard.events$.subscribe((event) => event.type === 'stuck-writes-repaired' && repaired.push(event.documents))
  await guard.adoptDatabase(db as never)

  const { push, sortFailure } = httpReplication<Note>({ server: server.url, collection: 'notes' })
  if (push) guard.replicate({ collection: db.notes, replicationIdentifier: 'before', push, sortFailure })

  await eventually(() => server.document('notes', 'stranded') !== undefined)
  expect(repaired).toEqual([1])
})

/** As facts: a push that failed when RxDB was paused, and something pulled after it. */
async function strandAWrite(collection: RxCollection<Note>): Promise<string[]> {
  await collection.insert({ id: 'stranded', text: 'x' })
  const pushed: string[] = []
  let release = () => {}
  const pull = new Promise<void>((resolve) => {
    release = resolve
  })
  let refuse = true
  const state = replicateRxCollection<Note, number>({
    collection,
    replicationIdentifier: 'before',
    retryTime: 50,
    waitForLeadership: false,
    pull: {
      handler: async (checkpoint) => {
        if (checkpoint) return { documents: [], checkpoint }
        await pull
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
  release()
  await eventually(async () => (await collection.findOne('remote').exec()) !== null)
  await state.pause()
  await pause(100)
  refuse = false
  await state.start()
  await state.awaitInSync()
  await pause(50)
  await state.cancel()
  return pushed
}

test('a fourteenth open collection is a clear error', { timeout: 20_000 }, async () => {
  const session$ = new BehaviorSubject<SyncSession | null>(new FakeSession('ada', 'token-1', { databaseName: freshName('many') }))
  const guard = createSyncGuard({ id: freshName('many'), session$, policy: { tabDeadlineMs: 0 } })
  onTestFinished(() => guard.dispose())
  const collections = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`c${i}`, { schema: noteSchema }]))
  await expect(guard.openDatabase({ storage: getRxStorageMemory(), multiInstance: false, collections })).rejects.toMatchObject({
    code: 'too-many-collections',
  })
})
