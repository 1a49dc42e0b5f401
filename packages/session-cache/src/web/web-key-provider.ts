import type { KeyProvider, PlatformKey, UserKey } from '@nightlatch/auth-core'
import { newMacKey, platformKey } from '../memory-key-provider.ts'

/**
 * Keys in a small IndexedDB `nl-keys-<app>`, as CryptoKeys that no script can export. In a browser profile on disk they lie raw
 * (measured in Chromium and Firefox; SECURITY.md), hence `quality: 'none'`.
 */
export function webKeyProvider(appId: string): KeyProvider & { close(): Promise<void> } {
  let opened: Promise<IDBDatabase> | undefined
  const database = () => {
    opened ??= openKeyDatabase(`nl-keys-${appId}`, () => {
      opened = undefined
    })
    opened.catch(() => {
      opened = undefined
    })
    return opened
  }

  const held = async (name: string): Promise<PlatformKey> => {
    const db = await database()
    const stored = await run<unknown>(db, 'readonly', (keys) => keys.get(name))
    if (stored instanceof CryptoKey) return platformKey(stored)
    const fresh = await newMacKey()
    return platformKey(await putIfAbsent(db, name, fresh))
  }

  return {
    quality: 'none',
    deviceKey: () => held('device'),
    userFactor: (key: UserKey) => held(`user:${key}`),
    async destroy(key: UserKey) {
      await run(await database(), 'readwrite', (keys) => keys.delete(`user:${key}`))
    },
    async mark(store) {
      await run(await database(), 'readwrite', (keys) => keys.put(true, `store:${store}`))
    },
    async isMarked(store) {
      return (await run<unknown>(await database(), 'readonly', (keys) => keys.get(`store:${store}`))) === true
    },
    async close() {
      const closing = opened
      opened = undefined
      if (closing) (await closing).close()
    },
  }
}

function openKeyDatabase(name: string, onLost: () => void): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1)
    request.onupgradeneeded = () => request.result.createObjectStore('keys')
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      const db = request.result
      db.onversionchange = () => {
        db.close()
        onLost()
      }
      db.onclose = onLost
      resolve(db)
    }
  })
}

/** Resolves when the transaction is on disk (strict durability), not when the request succeeded. */
function run<T>(db: IDBDatabase, mode: IDBTransactionMode, act: (keys: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const transaction = db.transaction('keys', mode, { durability: 'strict' })
    const request = act(transaction.objectStore('keys'))
    transaction.oncomplete = () => resolve(request.result)
    transaction.onabort = () => reject(transaction.error)
    transaction.onerror = () => reject(transaction.error)
  })
}

/** Two tabs may both have made a key: the first one stored is the key. */
function putIfAbsent(db: IDBDatabase, name: string, fresh: CryptoKey): Promise<CryptoKey> {
  return new Promise((resolve, reject) => {
    const transaction = db.transaction('keys', 'readwrite', { durability: 'strict' })
    const keys = transaction.objectStore('keys')
    let winner = fresh
    const found = keys.get(name)
    found.onsuccess = () => {
      if (found.result instanceof CryptoKey) winner = found.result
      else keys.put(fresh, name)
    }
    transaction.oncomplete = () => resolve(winner)
    transaction.onabort = () => reject(transaction.error)
    transaction.onerror = () => reject(transaction.error)
  })
}
