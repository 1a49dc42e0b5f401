export { isolatedMemoryStorage } from './isolated-memory-storage.ts'
export { damageUser, editStoredRow, storedRows, withStoredRows } from './stored-rows.ts'
