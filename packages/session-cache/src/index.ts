export { memoryKeyProvider } from './memory-key-provider.ts'
export type { RxdbSessionStoreOptions } from './open-store.ts'
export { rxdbSessionStore } from './rxdb-session-store.ts'
export { webKeyProvider } from './web/web-key-provider.ts'
