import { type StoreDevice, sessionStoreContract } from '@nightlatch/auth-core/testing'
import { realWorld } from '@nightlatch/auth-core/world'
import { memoryKeyProvider } from './memory-key-provider.ts'
import { rxdbSessionStore } from './rxdb-session-store.ts'
import { isolatedMemoryStorage } from './testing/isolated-memory-storage.ts'
import { damageUser } from './testing/stored-rows.ts'

sessionStoreContract('RxDB on memory storage', memoryDevice)

function memoryDevice(): StoreDevice {
  const storage = isolatedMemoryStorage()
  const keys = memoryKeyProvider()
  const context = { appId: 'fieldbook', issuer: 'https://api.example.org', world: realWorld() }
  return {
    context,
    newStore: () => rxdbSessionStore({ storage, keys }),
    damage: (key) => damageUser(storage, context, key),
  }
}
