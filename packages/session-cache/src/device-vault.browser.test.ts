import type { StoreContext, UserKey, UserRecordDraft } from '@nightlatch/auth-core'
import { realWorld } from '@nightlatch/auth-core/world'
import { afterEach, expect, test, vi } from 'vitest'
import { databaseName } from './database-name.ts'
import { defaultKdf, deriveKey, floorKdf, secretBytes } from './key-derivation.ts'
import type { RxdbSessionStoreOptions } from './open-store.ts'
import { rxdbSessionStore, type VaultedSessionStore } from './rxdb-session-store.ts'
import { databaseNames, deleteDatabase, deleteEverything, settled } from './testing/browser-databases.ts'
import { isolatedMemoryStorage } from './testing/isolated-memory-storage.ts'
import { deriveInWorker } from './web/derive-in-worker.ts'

const ann = 'key-ann' as UserKey
const password = 'correct horse battery staple'
const open: VaultedSessionStore[] = []
let devices = 0

afterEach(async () => {
  vi.restoreAllMocks()
  Reflect.deleteProperty(navigator, 'storage')
  for (const store of open.splice(0)) await store.close()
  await deleteEverything()
})

function newDevice(): StoreContext {
  devices += 1
  return { appId: `vault-${devices}`, issuer: 'https://api.example.org', world: realWorld() }
}

async function openTab(context: StoreContext, options: RxdbSessionStoreOptions = {}): Promise<VaultedSessionStore> {
  const store = rxdbSessionStore({ kdf: floorKdf, ...options })
  await store.open(context)
  open.push(store)
  return store
}

async function closeTabs(): Promise<void> {
  for (const store of open.splice(0)) await store.close()
}

async function logIn(store: VaultedSessionStore): Promise<void> {
  await store.vault.admit?.(ann, { kind: 'password', secret: password })
  await store.update(ann, null, {
    key: ann,
    epoch: 1,
    generation: 1,
    status: { kind: 'signed-in' },
    tags: [await store.tag('login', 'ann@example.org')],
    incarnation: 'data-of-ann',
    vault: { kind: 'open', contents: { userId: 'u-ann', identities: [], profile: {}, customData: {} } },
  } satisfies UserRecordDraft)
}

const vaultOf = async (store: VaultedSessionStore) => (await store.read(ann))?.vault.kind

test('C2: the own password opens the user with no network, after a lock and a restart, with the default key derivation', async () => {
  const device = newDevice()
  const store = await openTab(device, { kdf: defaultKdf })
  await logIn(store)
  await store.vault.lock(ann, 'explicit')
  await closeTabs()
  const restarted = await openTab(device)
  expect(await vaultOf(restarted)).toBe('sealed')

  await restarted.vault.unlock({ login: 'ann@example.org' }, 'password', password)

  expect(await vaultOf(restarted)).toBe('open')
})

test('Argon2id runs in a worker and leaves the page responsive', async () => {
  const started = vi.spyOn(globalThis, 'Worker')
  let ticks = 0
  const timer = setInterval(() => {
    ticks += 1
  }, 5)

  const derived = await deriveInWorker(secretBytes(password), new Uint8Array(16), defaultKdf)
  clearInterval(timer)

  expect(started).toHaveBeenCalledTimes(1)
  expect(ticks).toBeGreaterThan(5)
  expect(derived).toEqual(await deriveKey(secretBytes(password), new Uint8Array(16), defaultKdf))
})

test('where WebAssembly is forbidden a new slot is made with PBKDF2', async () => {
  vi.spyOn(WebAssembly, 'compile').mockRejectedValue(new WebAssembly.CompileError('blocked by CSP'))
  const device = newDevice()
  const store = await openTab(device)
  await logIn(store)
  await store.vault.lock(ann, 'explicit')

  await store.vault.unlock({ key: ann }, 'password', password)

  expect(await vaultOf(store)).toBe('open')
})

test('stay "unlock": a new tab gets the key from a live one, as a key that cannot be exported', async () => {
  const device = newDevice()
  const first = await openTab(device, { stay: 'unlock' })
  await logIn(first)

  const second = await openTab(device, { stay: 'unlock' })
  expect(await vaultOf(second)).toBe('open')

  await closeTabs()
  const started = performance.now()
  expect(await vaultOf(await openTab(device, { stay: 'unlock' }))).toBe('sealed')
  expect(performance.now() - started).toBeGreaterThan(250)
})

test('R-17, R-18: a connection that was lost is opened again once, and nothing is reported', async () => {
  const device = newDevice()
  const store = await openTab(device, { stay: 'unlock' })
  await logIn(store)

  await loseConnections(await databaseName(device))

  expect(await vaultOf(store)).toBe('open')
  await store.vault.lock(ann, 'explicit')
  expect(await vaultOf(store)).toBe('sealed')
})

test('R-3: a full disk is a typed error, loses nothing, and the next write succeeds', async () => {
  const store = await openTab(newDevice())
  await logIn(store)
  const before = await store.read(ann)
  if (!before) throw new Error('gone')
  vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(() => {
    throw new DOMException('full', 'QuotaExceededError')
  })

  await expect(store.update(ann, before.revision, { ...before, generation: 2 })).rejects.toMatchObject({
    name: 'StoreUnavailable',
    reason: 'storage-blocked',
  })
  vi.restoreAllMocks()

  expect(await store.read(ann)).toEqual(before)
  expect((await store.update(ann, before.revision, { ...before, generation: 2 })).generation).toBe(2)
})

test('R-19: each part that the browser may evict alone is noticed, and nothing of the rest is touched', async () => {
  for (const lost of ['rows', 'keys'] as const) {
    const device = newDevice()
    await logIn(await openTab(device))
    await closeTabs()
    const rows = await databaseName(device)
    for (const name of await databaseNames())
      if (lost === 'keys' ? name.startsWith('nl-keys') : name.includes(rows)) await deleteDatabase(name)
    const left = (await databaseNames()).length

    await expect(rxdbSessionStore().open(device)).rejects.toMatchObject({ name: 'StoreUnavailable', reason: 'evicted' })

    expect((await databaseNames()).length).toBeGreaterThanOrEqual(left)
    const fresh = await openTab(device, { whenEvicted: 'start-over' })
    expect(await vaultOf(fresh)).toBe(lost === 'keys' ? 'sealed' : undefined)
    await closeTabs()
    await expect(openTab(device)).resolves.toBeDefined()
    await closeTabs()
    await deleteEverything()
  }
})

test('memory that forgets by design is not evicted', async () => {
  const device = newDevice()
  await openTab(device, { storage: isolatedMemoryStorage() })
  await closeTabs()

  await expect(openTab(device, { storage: isolatedMemoryStorage() })).resolves.toBeDefined()
})

test('private mode or blocked site data is unavailable, not signed out', async () => {
  vi.spyOn(IDBFactory.prototype, 'open').mockImplementation(() => {
    throw new DOMException('blocked', 'SecurityError')
  })

  await expect(rxdbSessionStore().open(newDevice())).rejects.toMatchObject({ name: 'StoreUnavailable', reason: 'storage-blocked' })
})

test.each([
  ['that says yes', storageThatSays(true), 'granted'],
  ['that says no', storageThatSays(false), 'denied'],
  ['that cannot be asked, as WebKitGTK', undefined, 'unsupported'],
] as const)(
  'asks at the first log-in that the browser keeps what is stored, and reports the answer: a browser %s',
  async (_which, storage, answer) => {
    Object.defineProperty(navigator, 'storage', { configurable: true, value: storage })
    const store = await openTab(newDevice())
    expect(store.persistence).toBe('not-asked')

    await logIn(store)

    await expect.poll(() => store.persistence).toBe(answer)
    if (storage) expect(storage.persist).toHaveBeenCalledTimes(1)
  },
)

function storageThatSays(answer: boolean) {
  return { persist: vi.fn<() => Promise<boolean>>(async () => answer) }
}

/** What Safari's storage process does when it dies, and what another tab's upgrade makes Dexie do. */
async function loseConnections(name: string): Promise<void> {
  for (const database of (await databaseNames()).filter((candidate) => candidate.includes(name))) {
    const current = await settled(indexedDB.open(database))
    const next = current.version + 1
    current.close()
    const upgraded = await settled(indexedDB.open(database, next))
    upgraded.close()
  }
}
