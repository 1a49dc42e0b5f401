import type { RxStorage } from 'rxdb/plugins/core'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'

/** RxDB's memory storage with a disk of its own: stores over one of these are tabs of one device, stores over two are two devices. */
export function isolatedMemoryStorage(): RxStorage<unknown, unknown> {
  return { ...getRxStorageMemory(), collectionStates: new Map() } as unknown as RxStorage<unknown, unknown>
}
