import { realWorld, type World } from '@nightlatch/auth-core/world'
import { createRevision, getChangedDocumentsSince, getComposedPrimaryKeyOfDocumentData, now } from 'rxdb/plugins/core'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, synced, type TestApp, testApp } from '../test/guarded-app.ts'
import { type AnyCollection, ReplicationMeta } from './replication-meta.ts'

/** A world whose tabs beat when the test says so. */
function worldWithBeats(): { readonly world: World; beat(): void } {
  const real = realWorld()
  const due = new Set<() => void>()
  let monotonicMs = 0
  return {
    world: {
      ...real,
      clock: { nowMs: () => real.clock.nowMs(), monotonicMs: () => monotonicMs },
      timers: {
        start: (delayMs, callback, options) => {
          if (delayMs !== 1_000 || !options?.background) return real.timers.start(delayMs, callback, options)
          due.add(callback)
          return () => void due.delete(callback)
        },
      },
    },
    beat: () => {
      monotonicMs += 1_000
      const callbacks = [...due]
      due.clear()
      for (const callback of callbacks) callback()
    },
  }
}

/** Puts RxDB's checkpoint for uploads behind everything that is stored, as if all of it had been uploaded. */
async function passCheckpoint(collection: AnyCollection): Promise<void> {
  const meta = await ReplicationMeta.open(collection, 'notes-v1')
  onTestFinished(() => meta.close())
  const { instance } = meta
  const id = getComposedPrimaryKeyOfDocumentData(instance.schema, { itemId: 'up', isCheckpoint: '1' })
  const [previous] = await instance.findDocumentsById([id], false)
  if (!previous) throw new Error('Nothing was uploaded yet.')
  const { checkpoint } = await getChangedDocumentsSince(collection.storageInstance as never, 1_000)
  const document = {
    ...previous,
    checkpointData: checkpoint,
    _meta: { lwt: now() },
    _rev: createRevision('test', previous),
  }
  expect((await instance.bulkWrite([{ previous, document }], 'test')).error).toEqual([])
}

const repairs = ({ events }: TestApp) => events.flatMap((event) => (event.type === 'stuck-writes-repaired' ? [event.documents] : []))

test('G3: a write that RxDB has left behind its checkpoint is found while the app runs, and leaves', async () => {
  const { world, beat } = worldWithBeats()
  const app = await testApp({ world })
  const { db, guard, server, until } = app
  await db.notes.insert({ id: 'before', text: 'x' })
  await until(synced)
  await guard.suspend()
  await db.notes.insert({ id: 'stuck', text: 'x' })
  await passCheckpoint(db.notes as unknown as AnyCollection)
  await guard.resume()

  await db.notes.insert({ id: 'after', text: 'x' })
  await until((state) => state.kind === 'synced' && state.pending.exact && state.pending.count === 1)
  expect(server.document('notes', 'after')).toBeDefined()
  await expect(guard.once({ timeoutMs: 200 })).rejects.toMatchObject({ code: 'upload-unavailable', pending: 1 })
  expect(server.document('notes', 'stuck')).toBeUndefined()

  beat()
  expect(repairs(app)).toEqual([])
  beat()
  expect(repairs(app)).toEqual([1])
  await until(synced)
  expect(server.document('notes', 'stuck')).toMatchObject({ text: 'x' })
})

test('a write that waits for the server is not taken for one that was left behind', async () => {
  const { world, beat } = worldWithBeats()
  const app = await testApp({ world })
  const { db, guard, server, until } = app
  await until(synced)
  server.fault = ({ action }) => (action === 'push' ? new Promise(() => {}) : undefined)
  await db.notes.insert({ id: 'a', text: 'x' })
  await eventually(() => guard.state.inFlight === 1 && guard.state.pending.exact && guard.state.pending.count === 1)

  for (let beats = 0; beats < 4; beats += 1) beat()

  expect(repairs(app)).toEqual([])
})
