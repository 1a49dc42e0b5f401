/** What each tab of the tests with real tabs runs: version 0 or 1 of the same app. */
import { addRxPlugin, type RxCollectionCreator, type WithDeleted } from 'rxdb/plugins/core'
import { RxDBMigrationSchemaPlugin } from 'rxdb/plugins/migration-schema'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { BehaviorSubject } from 'rxjs'
import { httpReplication } from '../src/http/index.ts'
import { createSyncGuard, type EndReport, type SyncEvent, type SyncSession, type SyncState } from '../src/index.ts'
import type { Note, NotesDatabase } from './guarded-app.ts'

export interface TabApi {
  write(id: string): Promise<string>
  state(): SyncState
  leads(): boolean
  pending(): Promise<number>
  notes(): Promise<Record<string, unknown>[]>
  once(): Promise<void>
  end(): Promise<EndReport>
  /** What was reported as stored, and the code of the refusal. */
  writeUntilRefused(prefix: string): Promise<{ readonly stored: string[]; readonly refusal: string }>
}

declare global {
  interface Window {
    tab: TabApi
    /** All there were since the page was loaded: here before the database is open. */
    states: SyncState[]
    events: SyncEvent[]
    goOn(): void
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

const shouting = <T extends Note>(note: T) => ({ ...note, shout: note.text.toUpperCase() })
const versions: Record<string, RxCollectionCreator> = {
  '0': { schema: noteSchema },
  '1': {
    schema: { ...noteSchema, version: 1, properties: { ...noteSchema.properties, shout: { type: 'string' } } },
    migrationStrategies: { 1: shouting },
  },
}

addRxPlugin(RxDBMigrationSchemaPlugin)
const query = new URLSearchParams(location.search)
const session: SyncSession = { userId: 'ada', databaseName: 'tabs', getToken: () => Promise.resolve(query.get('token') ?? '') }
const guard = createSyncGuard({ id: 'tabs', session$: new BehaviorSubject<SyncSession | null>(session) })
let leads = false
window.states = []
window.events = []
guard.state$.subscribe((state) => window.states.push(state))
guard.events$.subscribe((event) => window.events.push(event))
guard.events$.subscribe((event) => {
  if (event.type === 'started') leads = true
  if (event.type === 'halted') leads = false
})
const mayGoOn = new Promise<void>((resolve) => {
  window.goOn = resolve
})
if (query.has('waits')) await mayGoOn
const db = await guard.openDatabase<NotesDatabase>({
  storage: getRxStorageDexie(),
  multiInstance: true,
  collections: { notes: versions[query.get('version') ?? '0'] ?? { schema: noteSchema } },
})
const { pull, push, ...http } = httpReplication<Note>({ server: location.origin, collection: 'notes' })
// The server is not updated with the app: it has notes as version 0 knows them.
const fromServer = (note: unknown) => shouting(note as WithDeleted<Note>)
const toServer = ({ id, text, _deleted }: WithDeleted<Note>) => ({ id, text, _deleted })
const isNew = query.get('version') === '1'
guard.replicate({
  collection: db.notes,
  replicationIdentifier: 'notes',
  ...http,
  pull: { ...pull, ...(isNew && { modifier: fromServer }) },
  ...(push && { push: { ...push, ...(isNew && { modifier: toServer }) } }),
})

window.tab = {
  write: async (id) => {
    await db.notes.insert({ id, text: 'x' })
    return id
  },
  state: () => guard.state,
  leads: () => leads,
  pending: async () => (await guard.pendingWrites()).count,
  notes: async () => (await db.notes.find().exec()).map((note) => note.toJSON()),
  once: () => guard.once(),
  end: () => guard.end(),
  writeUntilRefused: async (prefix) => {
    const stored: string[] = []
    try {
      for (let i = 0; ; i += 1) {
        await db.notes.insert({ id: `${prefix}-${i}`, text: 'x' })
        stored.push(`${prefix}-${i}`)
      }
    } catch (error) {
      return { stored, refusal: (error as { code?: string }).code ?? String(error) }
    }
  },
}
