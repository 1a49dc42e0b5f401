export { type CacheDevice, cacheDevice } from './cache-device.ts'
export { isolatedMemoryStorage } from './isolated-memory-storage.ts'
export { damageUser, editStoredRow, editStoredUser, type StoredUser, storedRows, storedUser, withStoredRows } from './stored-rows.ts'
export { tabChannels } from './tab-channels.ts'
