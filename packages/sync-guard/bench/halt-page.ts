/** Runs in the browser: how long `suspend` takes with so many idle replications over twelve collections on Dexie. */
import { createRxDatabase, type RxCollection } from 'rxdb/plugins/core'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { BehaviorSubject } from 'rxjs'
import { createSyncGuard, type SyncSession } from '../src/index.ts'

type Note = { id: string }
const schema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 40 } },
  required: ['id'],
} as const

declare global {
  interface Window {
    haltMs: (replications: number) => Promise<number>
  }
}

window.haltMs = async (replications) => {
  const name = `halt-${replications}-${Date.now()}`
  const db = await createRxDatabase<Record<string, RxCollection<Note>>>({ name, storage: getRxStorageDexie(), multiInstance: false })
  const collections = Math.min(replications, 12)
  await db.addCollections(Object.fromEntries(Array.from({ length: collections }, (_, i) => [`c${i}`, { schema }])))
  const session: SyncSession = { userId: 'ada', getToken: () => Promise.resolve('token') }
  const guard = createSyncGuard({ id: name, session$: new BehaviorSubject<SyncSession | null>(session), policy: { tabDeadlineMs: 0 } })
  const started = Array.from({ length: replications }, (_, i) =>
    guard.replicate<Note, { from: number }>({
      collection: db[`c${i % collections}`] as RxCollection<Note>,
      replicationIdentifier: `r${i}`,
      pull: { handler: (checkpoint) => Promise.resolve({ documents: [], checkpoint: checkpoint ?? { from: 0 } }) },
      push: { handler: () => Promise.resolve([]) },
    }),
  )
  while (!started.every(({ state }) => state.activity.kind === 'synced')) await new Promise((resolve) => setTimeout(resolve, 20))
  await new Promise((resolve) => setTimeout(resolve, 500))
  const startedAtMs = performance.now()
  await guard.suspend()
  const tookMs = performance.now() - startedAtMs
  await guard.dispose()
  await db.close()
  return tookMs
}
