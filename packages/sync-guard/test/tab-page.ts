/** What each tab of the browser test runs. */
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { BehaviorSubject } from 'rxjs'
import { httpReplication } from '../src/http/index.ts'
import { createSyncGuard, type EndReport, type SyncSession, type SyncState } from '../src/index.ts'
import type { Note, NotesDatabase } from './guarded-app.ts'

export interface TabApi {
  write(id: string): Promise<string>
  state(): SyncState
  leads(): boolean
  pending(): Promise<number>
  ids(): Promise<string[]>
  end(): Promise<EndReport>
  writeUntilRefused(prefix: string): Promise<string[]>
}

declare global {
  interface Window {
    tab: TabApi
    replications: (count: number) => Promise<number>
  }
}

const noteSchema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 60 }, text: { type: 'string' } },
  required: ['id', 'text'],
} as const

const query = new URLSearchParams(location.search)
const session: SyncSession = { userId: 'ada', databaseName: 'tabs', getToken: () => Promise.resolve(query.get('token') ?? '') }
const guard = createSyncGuard({ id: 'tabs', session$: new BehaviorSubject<SyncSession | null>(session) })
let leads = false
guard.events$.subscribe((event) => {
  if (event.type === 'started') leads = true
  if (event.type === 'halted') leads = false
})
const db = await guard.openDatabase<NotesDatabase>({
  storage: getRxStorageDexie(),
  multiInstance: true,
  collections: { notes: { schema: noteSchema } },
})
guard.replicate({
  collection: db.notes,
  replicationIdentifier: 'notes',
  ...httpReplication<Note>({ server: location.origin, collection: 'notes' }),
})

window.tab = {
  write: async (id) => {
    await db.notes.insert({ id, text: 'x' })
    return id
  },
  state: () => guard.state,
  leads: () => leads,
  pending: async () => (await guard.pendingWrites()).count,
  ids: async () => (await db.notes.find().exec()).map(({ id }) => id),
  end: () => guard.end(),
  writeUntilRefused: async (prefix) => {
    const written: string[] = []
    try {
      for (let i = 0; ; i += 1) {
        await db.notes.insert({ id: `${prefix}-${i}`, text: 'x' })
        written.push(`${prefix}-${i}`)
      }
    } catch {
      return written
    }
  },
}
