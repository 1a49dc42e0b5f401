import type { Eraser } from '../eraser.ts'

export type { Erased, Eraser } from '../eraser.ts'

/** How long a database that is open elsewhere may delay the erasing of it. */
const BLOCKED_AFTER_MS = 2_000

/**
 * Erases what RxDB's Dexie storage has written for one database: one IndexedDB database per collection and schema version, replication meta data,
 * attachments, and what older versions of the app left. Verified by asking the browser which databases are left.
 */
export function dexieEraser(factory: IDBFactory = indexedDB): Eraser {
  return async (databaseName) => {
    if (typeof factory.databases !== 'function') return 'not-verified'
    for (const name of await namesOf(factory, databaseName)) {
      if (!(await deleted(factory, name))) return { blockedBy: name }
    }
    const [left] = await namesOf(factory, databaseName)
    return left === undefined ? 'verified' : { blockedBy: left }
  }
}

/** Names look like `rxdb-dexie-<database>--<schema version>--<collection>`. */
async function namesOf(factory: IDBFactory, databaseName: string): Promise<string[]> {
  const prefix = `rxdb-dexie-${databaseName}--`
  const all = await factory.databases()
  return all.flatMap(({ name }) => (name?.startsWith(prefix) && /^\d+--/.test(name.slice(prefix.length)) ? [name] : []))
}

function deleted(factory: IDBFactory, name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(false), BLOCKED_AFTER_MS)
    const request = factory.deleteDatabase(name)
    request.onsuccess = () => {
      clearTimeout(timer)
      resolve(true)
    }
    request.onerror = () => {
      clearTimeout(timer)
      reject(request.error ?? new Error('The browser would not delete a database.'))
    }
  })
}
