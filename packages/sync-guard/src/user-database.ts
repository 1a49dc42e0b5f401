import { createRxDatabase, defaultHashSha256, type RxCollectionCreator, type RxDatabase, type RxDatabaseCreator } from 'rxdb/plugins/core'
import { SyncError } from './sync-error.ts'
import type { SyncSession } from './sync-session.ts'

/** RxDB's own options, except the name: that follows from the session. */
export interface OpenDatabaseOptions extends Omit<RxDatabaseCreator, 'name'> {
  // biome-ignore lint/suspicious/noExplicitAny: as RxDB's own `addCollections`.
  readonly collections: Readonly<Record<string, RxCollectionCreator<any>>>
  readonly signal?: AbortSignal
}

/** One database per user: the only separation of users that RxDB's checkpoints and pending writes respect. */
export async function databaseNameOf(guardId: string, session: SyncSession): Promise<string> {
  if (session.databaseName !== undefined) return session.databaseName
  const digest = await defaultHashSha256(session.userId)
  return `nl-${guardId.toLowerCase().replace(/[^a-z0-9-]/g, '-')}-${digest.slice(0, 20)}`
}

export async function openUserDatabase(name: string, { collections, signal, ...options }: OpenDatabaseOptions): Promise<RxDatabase> {
  signal?.throwIfAborted()
  const database = await createRxDatabase({ ...options, name })
  try {
    await database.addCollections({ ...collections })
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

function isRxError(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code
}
