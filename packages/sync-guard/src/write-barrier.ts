import type { AnyCollection } from './replication-meta.ts'
import { SyncError } from './sync-error.ts'

/**
 * Makes every write to these collections fail with a typed error, so that what is counted stays counted. Writes that had begun are waited for.
 * Resolves with how to open them again.
 */
export async function refuseWrites(collections: readonly AnyCollection[], because: () => SyncError = leaving): Promise<() => void> {
  const reopen = collections.map(({ storageInstance }) => {
    const { bulkWrite } = storageInstance
    storageInstance.bulkWrite = () => Promise.reject(because())
    return () => {
      storageInstance.bulkWrite = bulkWrite
    }
  })
  await Promise.all(collections.map(({ database }) => database.requestIdlePromise()))
  return () => {
    for (const open of reopen) open()
  }
}

function leaving(): SyncError {
  return new SyncError('session-ended', 'This user is leaving: nothing can be written any more.')
}
