import 'fake-indexeddb/auto'
import { createRxDatabase, type RxStorage } from 'rxdb/plugins/core'
import { replicateRxCollection } from 'rxdb/plugins/replication'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { expect, onTestFinished, test } from 'vitest'
import {
  eventually,
  FakeSession,
  freshName,
  type Note,
  type NotesDatabase,
  noteSchema,
  pause,
  synced,
  testApp,
} from '../test/guarded-app.ts'
import { WireServer } from '../test/wire-server.ts'
import { httpReplication } from './http/index.ts'

// biome-ignore lint/suspicious/noExplicitAny: any RxStorage will do.
const storages: [name: string, make: () => RxStorage<any, any>][] = [
  ['memory', () => getRxStorageMemory()],
  ['Dexie', () => getRxStorageDexie()],
]

for (const [name, makeStorage] of storages) {
  test(`G1: after end() has resolved no request starts with the old token (real HTTP, ${name})`, { timeout: 20_000 }, async () => {
    for (let run = 0; run < 8; run += 1) {
      const server = await WireServer.start()
      onTestFinished(() => server.stop())
      server.validTokens.add('old')
      server.delayMs = 3
      for (let i = 0; i < 30; i += 1) server.put('notes', { id: `seed-${i}`, text: 'x' })
      const storage = makeStorage()
      const session = new FakeSession('ada', 'old', { databaseName: freshName('out') })
      const app = await testApp({ server, session, storage })
      const written: string[] = []
      const busy = keepWriting(server, async (id) => {
        await app.db.notes.insert({ id, text: 'local' })
        written.push(id)
      })
      await pause(20 + (run % 8) * 7)

      const report = await app.guard.end()
      const resolvedAtMs = performance.now()
      busy.stop()
      await pause(60)

      expect(server.requests.filter(({ atMs }) => atMs > resolvedAtMs)).toEqual([])
      expect(report.unknownOutcome).toBe(0)

      server.validTokens.add('new')
      app.session$.next(null)
      app.session$.next(new FakeSession('ada', 'new', { databaseName: session.databaseName as string }))
      await app.open()
      await app.until(synced)
      await eventually(() => written.every((id) => server.document('notes', id) !== undefined))
      await app.guard.dispose()
    }
  })
}

test('the same log-out with plain cancel() is seen to fail by the same harness', { timeout: 60_000 }, async () => {
  let requestsAfter = 0
  for (let run = 0; run < 80 && requestsAfter === 0; run += 1) {
    const server = await WireServer.start()
    onTestFinished(() => server.stop())
    server.validTokens.add('old')
    server.delayMs = 3
    const db = await createRxDatabase<NotesDatabase>({ name: freshName('cancel'), storage: getRxStorageMemory(), multiInstance: false })
    await db.addCollections({ notes: { schema: noteSchema } })
    const wire = httpReplication<Note>({ server: server.url, collection: 'notes' })
    const signal = new AbortController().signal
    const context = { token: 'old', signal, session: new FakeSession('ada', 'old'), attempt: 1, scopes: ['mine'], idempotencyKey: 'k' }
    const state = replicateRxCollection<Note, unknown>({
      collection: db.notes,
      replicationIdentifier: 'notes-v1',
      pull: { handler: (checkpoint, size) => wire.pull.handler(checkpoint as never, size, context) },
      push: {
        batchSize: 2,
        handler: async (rows) => {
          const answer = (await wire.push?.handler(rows, context)) ?? []
          return Array.isArray(answer) ? answer : answer.conflicts
        },
      },
    })
    const busy = keepWriting(server, async (id) => {
      await db.notes.insert({ id, text: 'local' })
      if (Math.random() < 0.3) state.reSync()
    })
    await pause(20 + (run % 8) * 7)
    await state.cancel()
    const resolvedAtMs = performance.now()
    busy.stop()
    await pause(60)
    requestsAfter = server.requests.filter(({ atMs }) => atMs > resolvedAtMs).length
    await db.close()
  }
  expect(requestsAfter).toBeGreaterThan(0)
})

/** Writes on both sides until stopped; a refused local write is the end of it. */
function keepWriting(server: WireServer, write: (id: string) => Promise<void>): { stop(): void } {
  let on = true
  const loop = async () => {
    for (let i = 0; on; i += 1) {
      server.put('notes', { id: `remote-${i}`, text: 'remote' })
      await write(`local-${i}`).catch(() => {
        on = false
      })
      await pause(2)
    }
  }
  void loop()
  return {
    stop: () => {
      on = false
    },
  }
}
