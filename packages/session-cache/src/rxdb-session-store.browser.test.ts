import type { UserKey, UserRecordDraft } from '@nightlatch/auth-core'
import { type StoreDevice, sessionStoreContract } from '@nightlatch/auth-core/testing'
import { realWorld } from '@nightlatch/auth-core/world'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { expect, test } from 'vitest'
import { rxdbSessionStore } from './rxdb-session-store.ts'
import { deleteDatabase, deleteEverything, settled } from './testing/browser-databases.ts'
import { damageUser, editStoredRow } from './testing/stored-rows.ts'
import { dexieStorage } from './web/dexie-storage.ts'
import { webKeyProvider } from './web/web-key-provider.ts'

sessionStoreContract('RxDB on Dexie', dexieDevice)

let devices = 0
function dexieDevice(): StoreDevice {
  devices += 1
  const context = { appId: `contract-${devices}`, issuer: 'https://api.example.org', world: realWorld() }
  return {
    context,
    newStore: () => rxdbSessionStore(),
    damage: (key: UserKey) => damageUser(dexieStorage(), context, key),
    dispose: deleteEverything,
  }
}

test.each([
  ['by default', {}],
  ["also over an app's own Dexie storage", { storage: getRxStorageDexie() }],
] as const)('the transactions of the stored users are strict, %s', async (_how, options) => {
  const asked: (IDBTransactionOptions | undefined)[] = []
  const transaction = IDBDatabase.prototype.transaction
  IDBDatabase.prototype.transaction = function (names, mode, options) {
    if (mode === 'readwrite') asked.push(options)
    return transaction.call(this, names, mode, options)
  }
  try {
    const store = rxdbSessionStore(options)
    await store.open({ appId: 'strict', issuer: 'https://api.example.org', world: realWorld() })
    asked.length = 0
    await store.update(ann, null, draft)
    await store.close()
  } finally {
    IDBDatabase.prototype.transaction = transaction
  }

  expect(asked.length).toBeGreaterThan(0)
  expect(asked.every((options) => options?.durability === 'strict')).toBe(true)
  await deleteEverything()
})

test('C1: the keys in IndexedDB cannot be exported, two tabs make the same one, and a removed user has none', async () => {
  const [first, second] = [webKeyProvider('keys'), webKeyProvider('keys')]
  const data = new Uint8Array([1, 2, 3])

  const [a, b] = await Promise.all([first.userFactor(ann), second.userFactor(ann)])
  expect(await a.mac(data)).toEqual(await b.mac(data))
  expect(await (await first.deviceKey()).mac(data)).not.toEqual(await a.mac(data))
  for (const key of await storedKeys('nl-keys-keys')) {
    await expect(crypto.subtle.exportKey('raw', key)).rejects.toMatchObject({ name: 'InvalidAccessError' })
  }
  await first.destroy(ann)
  expect(await storedKeys('nl-keys-keys')).toHaveLength(1)

  await Promise.all([first.close(), second.close()])
  await deleteEverything()
})

test('a key store that another tab wants to upgrade lets go and opens again', async () => {
  const keys = webKeyProvider('upgrade')
  await keys.deviceKey()

  await deleteDatabase('nl-keys-upgrade')

  await expect(keys.deviceKey()).resolves.toBeDefined()
  await keys.close()
  await deleteEverything()
})

test('S10: a users database whose keys were deleted is evicted, not wiped', async () => {
  const context = { appId: 'evicted', issuer: 'https://api.example.org', world: realWorld() }
  const store = rxdbSessionStore()
  await store.open(context)
  await store.device.read()
  await store.update(ann, null, draft)
  await store.close()
  await deleteDatabase('nl-keys-evicted')

  await expect(rxdbSessionStore().open(context)).rejects.toMatchObject({ reason: 'evicted' })

  await editStoredRow(dexieStorage(), context, ann, (row) => row)
  await deleteEverything()
})

const ann = 'key-ann' as UserKey
const draft: UserRecordDraft = {
  key: ann,
  epoch: 1,
  generation: 1,
  status: { kind: 'signed-in' },
  tags: [],
  incarnation: 'data',
  vault: { kind: 'open', contents: { userId: 'u', identities: [], profile: {}, customData: {} } },
}

async function storedKeys(name: string): Promise<readonly CryptoKey[]> {
  const database = await settled(indexedDB.open(name))
  const all: unknown[] = await settled(database.transaction('keys').objectStore('keys').getAll())
  database.close()
  return all.filter((key) => key instanceof CryptoKey)
}
