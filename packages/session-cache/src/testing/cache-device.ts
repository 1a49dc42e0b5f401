import type { KeyProvider, StoreContext } from '@nightlatch/auth-core'
import { realWorld, type World } from '@nightlatch/auth-core/world'
import type { RxStorage } from 'rxdb/plugins/core'
import { floorKdf } from '../key-derivation.ts'
import { memoryKeyProvider } from '../memory-key-provider.ts'
import type { RxdbSessionStoreOptions } from '../open-store.ts'
import { rxdbSessionStore, type VaultedSessionStore } from '../rxdb-session-store.ts'
import { isolatedMemoryStorage } from './isolated-memory-storage.ts'
import { tabChannels } from './tab-channels.ts'

/** A device in memory whose clock the test owns: its tabs share rows and keys, as the tabs of one browser profile do. */
export interface CacheDevice {
  readonly storage: RxStorage<unknown, unknown>
  readonly keys: KeyProvider
  readonly context: StoreContext
  readonly clock: { wallMs: number; monotonicMs: number }
  /** Between the tabs; can be muted and delayed. */
  readonly channels: ReturnType<typeof tabChannels>
  /** Moves the wall clock and the monotonic one. */
  pass(ms: number): void
  openTab(options?: RxdbSessionStoreOptions): Promise<VaultedSessionStore>
  closeTabs(): Promise<void>
}

export function cacheDevice({
  keys = memoryKeyProvider(),
  ...shared
}: RxdbSessionStoreOptions & { readonly world?: Partial<World> } = {}): CacheDevice {
  const { world: parts, storage = isolatedMemoryStorage(), ...options } = shared
  const clock = { wallMs: 1_800_000_000_000, monotonicMs: 1_000 }
  const channels = tabChannels()
  const world: World = { ...realWorld(), channels, clock: { nowMs: () => clock.wallMs, monotonicMs: () => clock.monotonicMs }, ...parts }
  const context = { appId: 'fieldbook', issuer: 'https://api.example.org', world }
  const tabs: VaultedSessionStore[] = []
  return {
    storage,
    keys,
    context,
    clock,
    channels,
    pass(ms) {
      clock.wallMs += ms
      clock.monotonicMs += ms
    },
    async openTab(more) {
      const store = rxdbSessionStore({ storage, keys, kdf: floorKdf, ...options, ...more })
      await store.open(context)
      tabs.push(store)
      return store
    },
    async closeTabs() {
      for (const tab of tabs.splice(0)) await tab.close()
    },
  }
}
