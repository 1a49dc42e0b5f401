import { realWorld, type World } from '@nightlatch/auth-core/world'
import { createRxDatabase, type RxCollection, type RxCollectionCreator, type RxDatabase, type RxStorage } from 'rxdb/plugins/core'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { BehaviorSubject, filter, firstValueFrom } from 'rxjs'
import { onTestFinished } from 'vitest'
import { httpReplication } from '../src/http/index.ts'
import {
  createSyncGuard,
  type SyncEvent,
  type SyncGuard,
  type SyncGuardOptions,
  type SyncPolicy,
  type SyncSession,
  type SyncState,
} from '../src/index.ts'
import { WireServer } from './wire-server.ts'

export interface Note {
  id: string
  text: string
}

export const noteSchema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 60 }, text: { type: 'string' } },
  required: ['id', 'text'],
} as const

export type NotesDatabase = { notes: RxCollection<Note> }

let names = 0
export function freshName(prefix = 'test'): string {
  names += 1
  return `${prefix}-${process.pid}-${names}-${Math.random().toString(36).slice(2, 8)}`
}

/** A session that gives tokens from a list; a test moves it on, ends it or makes it slow. */
export class FakeSession implements SyncSession {
  readonly userId: string
  readonly databaseName?: string
  readonly canKeep?: boolean
  token: string
  /** Given when the current token was rejected. */
  next: string[] = []
  over: string | undefined
  unavailable = false
  asked = 0
  refreshed = 0
  answerAfterMs = 0
  #asking = 0
  /** The most questions that were open at the same time. */
  mostAtOnce = 0

  constructor(userId: string, token: string, options: { readonly canKeep?: boolean; readonly databaseName?: string } = {}) {
    this.userId = userId
    this.token = token
    if (options.canKeep !== undefined) this.canKeep = options.canKeep
    if (options.databaseName !== undefined) this.databaseName = options.databaseName
  }

  async getToken({ rejected }: { readonly rejected?: string } = {}): Promise<string> {
    this.asked += 1
    this.#asking += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#asking)
    if (this.answerAfterMs > 0) await pause(this.answerAfterMs)
    this.#asking -= 1
    if (this.over !== undefined) throw Object.assign(new Error('The session is over.'), { code: 'login-required', reason: this.over })
    if (this.unavailable) throw new Error('No network.')
    if (rejected !== undefined && rejected === this.token) {
      this.refreshed += 1
      this.token = this.next.shift() ?? this.token
    }
    return this.token
  }
}

export const IMPATIENT: SyncPolicy = { firstRetryMs: 10, longestRetryMs: 60, pushDeadlineMs: 500, tabDeadlineMs: 200 }

export interface TestAppOptions extends Partial<SyncGuardOptions> {
  readonly session?: FakeSession
  // biome-ignore lint/suspicious/noExplicitAny: any RxStorage will do.
  readonly storage?: RxStorage<any, any>
  readonly server?: WireServer
  readonly multiInstance?: boolean
  readonly scopeField?: string
  readonly collection?: RxCollectionCreator
  /** Called with the guard before anything is opened. */
  readonly watch?: (guard: SyncGuard) => void
  /** The address to use for the server, such as that of a proxy in front of it. */
  readonly via?: string
}

export interface TestApp {
  readonly server: WireServer
  readonly session: FakeSession
  readonly session$: BehaviorSubject<SyncSession | null | undefined>
  readonly guard: SyncGuard
  readonly db: RxDatabase<NotesDatabase>
  readonly events: SyncEvent[]
  readonly reasons: string[]
  open(): Promise<RxDatabase<NotesDatabase>>
  until(matches: (state: SyncState) => boolean): Promise<SyncState>
}

/** A guard with one replicated collection `notes`, signed in against a real HTTP server. */
export async function testApp(options: TestAppOptions = {}): Promise<TestApp> {
  const server = options.server ?? (await WireServer.start())
  const session = options.session ?? new FakeSession('ada', 'token-1', { databaseName: freshName('db') })
  if (!options.session) server.validTokens.add('token-1')
  const session$ = new BehaviorSubject<SyncSession | null | undefined>(session)
  const reasons: string[] = []
  const events: SyncEvent[] = []
  const world: World = options.world ?? realWorld()
  const guard = createSyncGuard({
    id: options.id ?? freshName('guard'),
    session$,
    policy: { ...IMPATIENT, ...options.policy },
    onLoginRequired: options.onLoginRequired ?? (({ reason }) => reasons.push(reason)),
    world,
    ...(options.eraser && { eraser: options.eraser }),
  })
  guard.events$.subscribe((event) => events.push(event))
  options.watch?.(guard)
  onTestFinished(async () => {
    await guard.dispose()
    if (!options.server) await server.stop()
  })
  const storage = options.storage ?? getRxStorageMemory()
  const open = async () => {
    const db = await guard.openDatabase<NotesDatabase>({
      storage,
      multiInstance: options.multiInstance ?? false,
      collections: { notes: options.collection ?? { schema: noteSchema } },
    })
    guard.replicate({
      collection: db.notes,
      replicationIdentifier: 'notes-v1',
      ...httpReplication<Note>({
        server: options.via ?? server.url,
        collection: 'notes',
        ...(options.scopeField && { scopeField: options.scopeField }),
      }),
    })
    return db
  }
  const db = await open()
  return {
    server,
    session,
    session$,
    guard,
    db,
    events,
    reasons,
    open,
    until: (matches) => firstValueFrom(guard.state$.pipe(filter(matches))),
  }
}

export const synced = (state: SyncState) => state.kind === 'synced' && state.pending.exact && state.pending.count === 0

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export async function foreignDatabase(name = freshName('foreign')): Promise<RxDatabase<NotesDatabase>> {
  const db = await createRxDatabase<NotesDatabase>({ name, storage: getRxStorageMemory(), multiInstance: false })
  await db.addCollections({ notes: { schema: noteSchema } })
  return db
}

/** Waits for a fact that has no event. */
export async function eventually(fact: () => boolean | Promise<boolean>, withinMs = 5_000): Promise<void> {
  const untilMs = performance.now() + withinMs
  while (!(await fact())) {
    if (performance.now() > untilMs) throw new Error(`Not true within ${withinMs} ms: ${fact.toString()}`)
    await pause(5)
  }
}
