import type { RxStorage } from 'rxdb/plugins/core'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'

/** Dexie that reports a write as done when it is on disk: Chromium's own default may lose the last writes of a crashed machine. */
export function dexieStorage(): RxStorage<unknown, unknown> {
  return getRxStorageDexie({ chromeTransactionDurability: 'strict' })
}

/** The same for a Dexie storage that an app made for its documents and passes for its users too. */
export function withStrictDurability(storage: RxStorage<unknown, unknown>): RxStorage<unknown, unknown> {
  if (storage.name !== 'dexie' || !('settings' in storage)) return storage
  const settings = { ...Object(storage.settings), chromeTransactionDurability: 'strict' } as object
  return Object.create(storage, { settings: { value: settings } }) as RxStorage<unknown, unknown>
}
