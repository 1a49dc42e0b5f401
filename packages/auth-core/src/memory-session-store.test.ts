import { MemoryShelf, memorySessionStore } from './memory-session-store.ts'
import { sessionStoreContract } from './testing/session-store-contract.ts'
import { realWorld } from './world/index.ts'

sessionStoreContract('memory', () => {
  const shelf = new MemoryShelf()
  return {
    context: { appId: 'fieldbook', issuer: 'https://api.example.org', world: realWorld() },
    newStore: () => memorySessionStore(shelf),
  }
})
