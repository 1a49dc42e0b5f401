import {
  createRxDatabase,
  defaultHashSha256,
  getAllCollectionDocuments,
  type RxCollectionCreator,
  type RxDatabase,
  type RxDatabaseCreator,
} from 'rxdb/plugins/core'
import type { OldStores, StoredCollection } from './old-stores.ts'
import { SyncError } from './sync-error.ts'
import type { SyncSession } from './sync-session.ts'

/** RxDB's own options, except the name: that follows from the session. */
export interface OpenDatabaseOptions extends Omit<RxDatabaseCreator, 'name'> {
  // biome-ignore lint/suspicious/noExplicitAny: as RxDB's own `addCollections`.
  readonly collections: Readonly<Record<string, RxCollectionCreator<any>>>
  readonly signal?: AbortSignal
}

/** How a new version of the app takes over from an old one that is open in other tabs. */
export interface AppUpdate {
  /** Makes tabs with older versions of these collections stop writing and halt. Resolves when they have, or did not answer in time. */
  readonly stopOlderTabs: (versions: Readonly<Record<string, number>>, database: RxDatabase) => Promise<void>
  readonly oldStores: (database: RxDatabase) => Promise<OldStores>
  readonly carryOver: (oldStores: OldStores) => Promise<void>
  readonly nowMs: () => number
}

/** One database per user: the only separation of users that RxDB's checkpoints and pending writes respect. */
export async function databaseNameOf(guardId: string, session: SyncSession): Promise<string> {
  if (session.databaseName !== undefined) return session.databaseName
  const digest = await defaultHashSha256(session.userId)
  return `nl-${guardId.toLowerCase().replace(/[^a-z0-9-]/g, '-')}-${digest.slice(0, 20)}`
}

export async function openUserDatabase(
  name: string,
  { collections, signal, ...options }: OpenDatabaseOptions,
  update: AppUpdate,
): Promise<RxDatabase> {
  signal?.throwIfAborted()
  const database = await createRxDatabase({ ...options, name })
  try {
    const stored = (await storedCollections(database)).filter((one) => one.name in collections)
    const versionOf = (its: StoredCollection) => collections[its.name]?.schema.version ?? 0
    if (stored.some((one) => one.version > versionOf(one))) throw appOutdated()
    const outgrown = stored.filter((one) => one.version < versionOf(one))
    const newVersions = Object.fromEntries(outgrown.map((one) => [one.name, versionOf(one)]))
    if (outgrown.length > 0) await update.stopOlderTabs(newVersions, database)

    const oldStores = await update.oldStores(database)
    await oldStores.remember(outgrown, update.nowMs())
    await oldStores.kept(() => database.addCollections({ ...collections }))
    await update.carryOver(oldStores)
    return database
  } catch (error) {
    await database.close().catch(() => {})
    if (isRxError(error, 'COL23')) {
      throw new SyncError('too-many-collections', 'RxDB allows 13 open collections. Close the database of another user or app first.', {
        cause: error,
      })
    }
    throw error
  }
}

export function appOutdated(): SyncError {
  return new SyncError('app-outdated', 'A newer version of this app has taken over the data on this device. Reload the page.')
}

/** The newest version of each collection that any tab has opened. */
export async function storedVersions(database: RxDatabase): Promise<Record<string, number>> {
  const versions: Record<string, number> = {}
  for (const { name, version } of await storedCollections(database)) versions[name] = Math.max(version, versions[name] ?? 0)
  return versions
}

async function storedCollections(database: RxDatabase): Promise<StoredCollection[]> {
  const documents = await getAllCollectionDocuments(database.internalStore)
  return documents.map(({ data: { name, version, schema, connectedStorages } }) => ({ name, version, schema, connectedStorages }))
}

function isRxError(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code
}
