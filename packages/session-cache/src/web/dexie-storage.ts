import type { RxStorage } from 'rxdb/plugins/core'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'

/** Dexie that reports a write as done when it is on disk: Chromium's own default may lose the last writes of a crashed machine. */
export function dexieStorage(): RxStorage<unknown, unknown> {
  return getRxStorageDexie({ chromeTransactionDurability: 'strict' })
}
