import type { UserKey, UserRecordDraft } from '@nightlatch/auth-core'
import { type StoreDevice, sessionStoreContract } from '@nightlatch/auth-core/testing'
import { realWorld } from '@nightlatch/auth-core/world'
import { expect, test } from 'vitest'
import { memoryKeyProvider } from './memory-key-provider.ts'
import { rxdbSessionStore } from './rxdb-session-store.ts'
import { cacheDevice } from './testing/cache-device.ts'
import { isolatedMemoryStorage } from './testing/isolated-memory-storage.ts'
import { damageUser } from './testing/stored-rows.ts'
import { tabChannels } from './testing/tab-channels.ts'

sessionStoreContract('RxDB on memory storage', () => memoryDevice())
sessionStoreContract('RxDB on memory storage, with a channel that lags', () => memoryDevice({ delayMs: 200 }))

function memoryDevice({ delayMs = 0 } = {}): StoreDevice {
  const channels = Object.assign(tabChannels(), { delayMs })
  const storage = isolatedMemoryStorage()
  const keys = memoryKeyProvider()
  const context = { appId: 'fieldbook', issuer: 'https://api.example.org', world: { ...realWorld(), channels } }
  return {
    context,
    newStore: () => rxdbSessionStore({ storage, keys }),
    damage: (key) => damageUser(storage, context, key),
  }
}

test('S4, S8: with a muted channel every tab still reads what the other stored, and a log-out there closes the key here', async () => {
  const device = cacheDevice()
  device.channels.muted = true
  const [a, b] = [await device.openTab(), await device.openTab()]
  const stored = await a.update(ann, null, draft)
  expect(await b.read(ann)).toEqual(stored)

  await b.update(ann, stored.revision, { ...draft, status: { kind: 'logged-out' } })

  expect((await a.read(ann))?.vault).toEqual({ kind: 'sealed' })
  await expect(a.update(ann, stored.revision, draft)).rejects.toMatchObject({ name: 'RevisionConflict' })
  await device.closeTabs()
})

const ann = 'key-ann' as UserKey
const draft: UserRecordDraft = {
  key: ann,
  epoch: 1,
  generation: 1,
  status: { kind: 'signed-in' },
  tags: [],
  incarnation: 'data-of-ann',
  vault: { kind: 'open', contents: { userId: 'u-ann', identities: [], profile: {}, customData: {} } },
}
