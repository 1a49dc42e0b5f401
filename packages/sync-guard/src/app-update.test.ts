import 'fake-indexeddb/auto'
import { realmLocks, realWorld, type World } from '@nightlatch/auth-core/world'
import { addRxPlugin, type RxCollectionCreator, type RxStorage } from 'rxdb/plugins/core'
import { RxDBMigrationSchemaPlugin } from 'rxdb/plugins/migration-schema'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { expect, onTestFinished, test } from 'vitest'
import { freezableWorld } from '../test/freezable-world.ts'
import { eventually, FakeSession, freshName, noteSchema, pause, synced, type TestApp, testApp } from '../test/guarded-app.ts'
import { WireServer } from '../test/wire-server.ts'
import type { SyncGuard } from './index.ts'

addRxPlugin(RxDBMigrationSchemaPlugin)

const versionTwo: RxCollectionCreator = {
  schema: { ...noteSchema, version: 1, properties: { ...noteSchema.properties, shout: { type: 'string' } } },
  migrationStrategies: { 1: (note: { text: string }) => ({ ...note, shout: note.text.toUpperCase() }) },
}

// biome-ignore lint/suspicious/noExplicitAny: any RxStorage will do.
const storages: [name: string, make: () => RxStorage<any, any>][] = [
  ['memory', () => getRxStorageMemory()],
  ['Dexie', () => getRxStorageDexie()],
]

/** Two versions of an app over one storage, as two tabs have it while a new version is rolled out. */
async function appInTabs(makeStorage = storages[0]?.[1] ?? getRxStorageMemory) {
  const server = await WireServer.start()
  onTestFinished(() => server.stop())
  server.validTokens.add('token-1')
  const locks = realmLocks()
  const storage = makeStorage()
  const id = freshName('update')
  const databaseName = freshName('db')
  const tab = (
    options: {
      readonly world?: World
      readonly deaf?: boolean
      readonly collection?: RxCollectionCreator
      readonly watch?: (guard: SyncGuard) => void
    } = {},
  ) =>
    testApp({
      id,
      server,
      multiInstance: options.deaf !== true,
      storage: Object.create(storage, { name: { value: freshName('storage') } }) as typeof storage,
      session: new FakeSession('ada', 'token-1', { databaseName }),
      ...(options.collection && { collection: options.collection }),
      ...(options.watch && { watch: options.watch }),
      world: { ...(options.world ?? realWorld()), locks: { ...locks, acrossTabs: true } },
    })
  return { server, tab }
}

/** Writes until it is refused. Answers what was reported as stored, and the refusal. */
function keepWriting({ db }: TestApp, prefix: string) {
  const stored: string[] = []
  let on = true
  onTestFinished(() => {
    on = false
  })
  const refusal = (async () => {
    for (let i = 0; on; i += 1) {
      try {
        await db.notes.insert({ id: `${prefix}-${i}`, text: 'x' })
        stored.push(`${prefix}-${i}`)
      } catch (error) {
        return error
      }
      await pause(i % 5)
    }
    return undefined
  })()
  return { stored, refusal }
}

for (const [name, makeStorage] of storages) {
  test(`G3: an old tab that keeps writing stops with a typed refusal, and nothing it stored is missing (${name})`, async () => {
    const { server, tab } = await appInTabs(makeStorage)
    const old = await tab()
    await old.until(synced)
    const writing = keepWriting(old, 'old')
    await pause(40)

    const fresh = await tab({ collection: versionTwo })

    expect(await writing.refusal).toMatchObject({ code: 'app-outdated' })
    expect(old.guard.state).toMatchObject({ kind: 'blocked', cause: 'outdated-client' })
    expect(fresh.events).toContainEqual(expect.objectContaining({ type: 'app-update', state: 'taken-over', silentTabs: 0 }))
    const here = (await fresh.db.notes.find().exec()).map((note) => note.toJSON())
    expect(here.map(({ id }) => id)).toEqual(expect.arrayContaining(writing.stored))
    expect(here.every((note) => 'shout' in note && note.shout === 'X')).toBe(true)
    await fresh.until(synced)
    expect(server.documents('notes')).toHaveLength(writing.stored.length)
    await expect(old.guard.end()).rejects.toMatchObject({ code: 'app-outdated' })
  })
}

test(`G3: what a silent old tab writes during and after the migration is carried over and counted`, {
  timeout: 20_000,
}, async () => {
  const { server, tab } = await appInTabs(getRxStorageDexie)
  const frozen = freezableWorld(realWorld())
  const frozenTab = async () => {
    const opened = await tab({ world: frozen.world, deaf: true })
    onTestFinished(() => frozen.thaw())
    return opened
  }
  const old = await frozenTab()
  await old.db.notes.bulkInsert(['edited', 'deleted'].map((id) => ({ id, text: 'before' })))
  await old.until((state) => synced(state) && server.documents('notes').length === 2)
  frozen.freeze()
  const writing = keepWriting(old, 'late')

  const fresh = await tab({ collection: versionTwo })
  await pause(30)
  await old.db.notes.findOne('edited').incrementalPatch({ text: 'after' })
  await old.db.notes.findOne('deleted').remove()
  frozen.thaw()

  expect(await writing.refusal).toMatchObject({ code: 'app-outdated' })
  const wanted = ['edited', ...writing.stored].sort()
  const idsHere = async () => (await fresh.db.notes.find().exec()).map(({ id }) => id).sort()
  await eventually(async () => (await idsHere()).length === wanted.length)
  expect(await idsHere()).toEqual(wanted)
  await eventually(async () => (await fresh.db.notes.findOne('edited').exec())?.text === 'after')
  await eventually(() => server.document('notes', writing.stored.at(-1) ?? '') !== undefined, 15_000)
  const counted = fresh.events.flatMap((event) => (event.type === 'carried-over' ? [event.documents] : []))
  expect(counted.reduce((sum, documents) => sum + documents, 0)).toBeGreaterThan(2)
})

test('G1: a tab that slept through an update sends nothing when it wakes', async () => {
  const { server, tab } = await appInTabs(getRxStorageDexie)
  const frozen = freezableWorld(realWorld())
  const old = await tab({ world: frozen.world, deaf: true })
  onTestFinished(() => frozen.thaw())
  await old.until(synced)
  frozen.freeze()
  const fresh = await tab({ collection: versionTwo })
  await pause(2_600) // the old tab can tell now that it stood still
  await old.db.notes.insert({ id: 'late', text: 'x' })
  await eventually(() => old.events.some((event) => event.type === 'lease' && event.state === 'lost'))
  expect(server.document('notes', 'late')).toBeUndefined()

  frozen.thaw()
  await old.until((state) => state.kind === 'blocked' && state.cause === 'outdated-client')
  await eventually(() => server.document('notes', 'late') !== undefined)
  expect(server.document('notes', 'late')).toMatchObject({ shout: 'X' })
  expect(fresh.events).toContainEqual(expect.objectContaining({ type: 'carried-over', documents: 1 }))
})

test('while older tabs are waited for the newer one shows it, and no longer than their deadline', async () => {
  const { tab } = await appInTabs(getRxStorageDexie)
  const frozen = freezableWorld(realWorld())
  const frozenTab = async () => {
    const opened = await tab({ world: frozen.world, deaf: true })
    onTestFinished(() => frozen.thaw())
    return opened
  }
  const old = await frozenTab()
  await old.until(synced)
  const startedAtMs = performance.now()
  const states: string[] = []
  const fresh = await tab({
    collection: versionTwo,
    watch: ({ state$ }) => {
      setTimeout(() => frozen.freeze(), 60) // it has been heard of by then, and is not asked yet
      state$.subscribe((state) => states.push(state.kind === 'blocked' ? state.cause : state.kind))
    },
  })

  expect(fresh.events).toContainEqual(expect.objectContaining({ type: 'app-update', state: 'taken-over', silentTabs: 1 }))
  expect(states).toContain('migration-waiting')
  expect(performance.now() - startedAtMs).toBeLessThan(3_000)
  expect(fresh.guard.state.kind).not.toBe('blocked')
})

test('an old tab that hears of the update when RxDB has closed its collections already says so too', async () => {
  const { tab } = await appInTabs()
  const frozen = freezableWorld(realWorld())
  const old = await tab({ world: frozen.world })
  onTestFinished(() => frozen.thaw())
  await old.until(synced)
  frozen.freeze()
  await tab({ collection: versionTwo })
  await eventually(() => old.db.collections.notes === undefined)
  frozen.thaw()

  await old.until((state) => state.kind === 'blocked' && state.cause === 'outdated-client')
})

test('stragglers are found at the next open too, and of two edits the later one stands', async () => {
  const { tab } = await appInTabs(getRxStorageDexie)
  const frozen = freezableWorld(realWorld())
  const frozenTab = async () => {
    const opened = await tab({ world: frozen.world, deaf: true })
    onTestFinished(() => frozen.thaw())
    return opened
  }
  const old = await frozenTab()
  await old.db.notes.bulkInsert(['a', 'b'].map((id) => ({ id, text: 'before' })))
  await old.until(synced)
  frozen.freeze()
  const fresh = await tab({ collection: versionTwo })
  await old.db.notes.findOne('a').incrementalPatch({ text: 'old tab' })
  await old.db.notes.insert({ id: 'c', text: 'old tab' })
  await pause(5)
  await fresh.db.notes.findOne('a').incrementalPatch({ text: 'new tab' })
  await fresh.guard.dispose()

  const again = await tab({ collection: versionTwo })

  expect(again.events).toContainEqual(expect.objectContaining({ type: 'carried-over', collection: 'notes', documents: 1, superseded: 1 }))
  expect((await again.db.notes.findOne('a').exec())?.text).toBe('new tab')
  expect((await again.db.notes.findOne('c').exec())?.toJSON()).toMatchObject({ shout: 'OLD TAB' })
})

test('an older version of the app does not open what a newer one has migrated', async () => {
  const { tab } = await appInTabs()
  const fresh = await tab({ collection: versionTwo })
  await fresh.until(synced)
  await expect(tab()).rejects.toMatchObject({ code: 'app-outdated' })
})
