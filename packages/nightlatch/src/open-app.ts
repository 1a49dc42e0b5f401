import {
  type App,
  type AppOptions,
  AuthError,
  createApp,
  databaseName,
  type Leave,
  type LeaveReport,
  type UserData,
} from '@nightlatch/auth-core'
import { httpBackend } from '@nightlatch/auth-core/http'
import { realWorld, type World } from '@nightlatch/auth-core/world'
import { type RxdbSessionStoreOptions, rxdbSessionStore } from '@nightlatch/session-cache'
import { createSyncGuard, type EndReport, type Eraser, type SyncGuard, type SyncPolicy, type SyncState } from '@nightlatch/sync-guard'
import { dexieEraser } from '@nightlatch/sync-guard/dexie'
import { httpReplication } from '@nightlatch/sync-guard/http'
import type { RxStorage } from 'rxdb/plugins/core'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import type { Observable } from 'rxjs'
import type { CollectionSpec, CollectionSpecs, DatabaseOf, SyncScopes } from './collections.ts'

export interface OpenAppOptions<Specs extends CollectionSpecs>
  extends Pick<AppOptions, 'onLoginRequired' | 'onSessionOver' | 'fallback' | 'fetchOrigins' | 'requestTimeoutMs' | 'offlineAfterMs'>,
    Pick<RxdbSessionStoreOptions, 'keys' | 'stay' | 'kdf' | 'labels' | 'whenEvicted'> {
  /** Names the app on this device. */
  readonly id: string
  /** Address of a `@nightlatch/server`. Data on the device is bound to its origin. */
  readonly server: string
  /** What each user's database holds. */
  readonly collections: Specs
  /** Where users and their data are kept. Default: Dexie, which browsers have. */
  // biome-ignore lint/suspicious/noExplicitAny: any storage will do, whatever its internals are.
  readonly storage?: RxStorage<any, any>
  /** How a removed user's databases are wiped from a storage other than Dexie. Without one `removeUser` reports `not-verified`. */
  readonly eraser?: Eraser
  /** How long users can be opened without the server, and what wrong secrets cost. Default `standard`. */
  readonly offlinePolicy?: RxdbSessionStoreOptions['policy']
  /** How patient sync is. */
  readonly syncPolicy?: SyncPolicy
  readonly world?: World
}

/** An app whose users have a database that syncs while they may. */
export interface Nightlatch<Specs extends CollectionSpecs> extends App {
  readonly syncState: SyncState
  /** The state now and after every change; never fails. */
  readonly syncState$: Observable<SyncState>
  readonly sync: SyncGuard
  /**
   * The current user's own database, opened at the first call. It stays readable and writable while the session is over, and closes when the user leaves.
   *
   * @throws {AuthError} `not-logged-in`, `locked`
   */
  openDatabase(): Promise<DatabaseOf<Specs>>
}

/**
 * Opens an app: restores who was signed in, without a request, and syncs for them from the first `openDatabase` on.
 *
 * @throws {TypeError} if `server` is not an http(s) address
 */
export async function openApp<const Specs extends CollectionSpecs>(options: OpenAppOptions<Specs>): Promise<Nightlatch<Specs>> {
  const { id, server, collections, storage = getRxStorageDexie(), offlinePolicy, syncPolicy, world = realWorld(), ...rest } = options
  const { keys, stay, kdf, labels, whenEvicted, eraser = options.storage ? undefined : dexieEraser(), ...appOptions } = rest
  const store = rxdbSessionStore({
    storage,
    ...(keys && { keys }),
    ...(stay && { stay }),
    ...(kdf && { kdf }),
    ...(labels && { labels }),
    ...(whenEvicted && { whenEvicted }),
    ...(offlinePolicy && { policy: offlinePolicy }),
  })
  const userData: UserData = {
    wipe: (incarnation) => sync.wipe(databaseName(id, incarnation)),
    finishWipes: async (incarnations) => {
      const gone = await sync.finishWipes(incarnations.map((incarnation) => databaseName(id, incarnation)))
      return incarnations.filter((incarnation) => gone.includes(databaseName(id, incarnation)))
    },
  }
  const app = createApp({ ...appOptions, id, backend: httpBackend(server), store, vault: store.vault, userData, world })
  const sync = createSyncGuard({
    id,
    session$: app.syncSession$,
    world,
    ...(syncPolicy && { policy: syncPolicy }),
    ...(eraser && { eraser }),
  })
  app.beforeLeave((leave) => endSync(sync, leave, world))
  const creators = Object.fromEntries(Object.entries(collections).map(([name, spec]) => [name, creatorOf(spec)]))
  const replicated = new WeakSet<object>()
  const closeApp = app.close.bind(app)

  const additions = {
    sync,
    get syncState() {
      return sync.state
    },
    get syncState$() {
      return sync.state$
    },
    async openDatabase(): Promise<DatabaseOf<Specs>> {
      await app.ready
      if (!app.currentUser) throw nobodyToOpenFor(app)
      const database = await sync.openDatabase<Record<string, never>>({ storage, collections: creators, multiInstance: true })
      if (!replicated.has(database)) {
        replicated.add(database)
        for (const [name, spec] of Object.entries(collections)) replicate(sync, { id, server, world }, database, name, spec)
      }
      return database as unknown as DatabaseOf<Specs>
    },
    async close(): Promise<void> {
      await sync.dispose()
      await closeApp()
    },
  }
  await app.ready
  return Object.defineProperties(app, Object.getOwnPropertyDescriptors(additions)) as unknown as Nightlatch<Specs>
}

function creatorOf(spec: CollectionSpec) {
  const { sync: _, ...creator } = spec
  return creator
}

function replicate(
  sync: SyncGuard,
  { id, server, world }: { readonly id: string; readonly server: string; readonly world: World },
  database: { readonly collections: Readonly<Record<string, never>> },
  name: string,
  spec: CollectionSpec,
): void {
  if (!spec.sync) return
  const scopes: SyncScopes = spec.sync === true ? {} : spec.sync
  const collection = database.collections[name]
  if (!collection) return
  sync.replicate({
    collection,
    replicationIdentifier: `${id}-${name}`,
    ...httpReplication({
      server,
      collection: name,
      schemaVersion: spec.schema.version,
      fetch: world.fetch,
      ...scopes,
    }),
  })
}

/** Sync takes part in every leave: it uploads if asked, halts, counts, and closes the database. */
async function endSync(sync: SyncGuard, { reason, unsynced, deadlineAtMs, signal, rehearsal }: Leave, world: World): Promise<LeaveReport> {
  const report: EndReport = await sync.end({
    by: reason === 'lock' ? 'lock' : 'leave',
    timeoutMs: Math.max(0, deadlineAtMs - world.clock.nowMs()),
    ...((reason === 'remove' || reason === 'delete') && { refusePending: true }), // nothing of a removed user can be sent later
    ...(rehearsal && { rehearsal }),
    ...(unsynced && { unsynced }),
    ...(signal && { signal }),
  })
  return report
}

function nobodyToOpenFor({ authState }: App): AuthError {
  return authState.kind === 'locked'
    ? new AuthError('locked', 'The user is locked. Unlock it, then open its database.')
    : new AuthError('not-logged-in', 'Nobody is logged in: a database belongs to a user.')
}
