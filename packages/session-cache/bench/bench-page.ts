import type { UserKey, UserRecordDraft } from '@nightlatch/auth-core'
import { realWorld } from '@nightlatch/auth-core/world'
import { createRxDatabase } from 'rxdb/plugins/core'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import type { KdfSettings } from '../src/key-derivation.ts'
import { rxdbSessionStore } from '../src/rxdb-session-store.ts'
import { deriveInWorker } from '../src/web/derive-in-worker.ts'

const text = JSON.stringify({ session: 'x'.repeat(1_500) })
const context = { appId: 'bench', issuer: 'https://api.example.org', world: realWorld() }
const keyOf = (index: number) => `key-${String(index).padStart(4, '0')}` as UserKey

export const pageActions = {
  async fill(users: number): Promise<void> {
    localStorage.setItem('bench', text)
    const rows = await bareRows()
    await rows.users.upsert({ key: keyOf(0), row: { text } })
    await rows.users.database.close()
    const store = rxdbSessionStore()
    await store.open(context)
    for (let index = 0; index < users; index += 1) await store.update(keyOf(index), null, draftOf(keyOf(index)))
    await store.close()
  },

  fromLocalStorage(): number {
    const start = performance.now()
    JSON.parse(localStorage.getItem('bench') ?? '')
    return performance.now() - start
  },

  async fromBareRxdb(): Promise<number> {
    const start = performance.now()
    const { users } = await bareRows()
    await users.findOne(keyOf(0)).exec()
    return performance.now() - start
  },

  async fromSessionCache(): Promise<number> {
    const start = performance.now()
    const store = rxdbSessionStore()
    await store.open(context)
    const [, record] = await Promise.all([store.device.read(), store.read(keyOf(0))])
    const took = performance.now() - start
    if (record?.vault.kind !== 'open') throw new Error('The user did not open.')
    return took
  },

  async listFromSessionCache(): Promise<number> {
    const store = rxdbSessionStore()
    await store.open(context)
    const start = performance.now()
    await store.list()
    return performance.now() - start
  },

  async derive(settings: KdfSettings): Promise<number> {
    const start = performance.now()
    await deriveInWorker(new TextEncoder().encode('correct horse battery staple'), crypto.getRandomValues(new Uint8Array(16)), settings)
    return performance.now() - start
  },
}

export type BenchPage = typeof pageActions

async function bareRows() {
  const database = await createRxDatabase({ name: 'bare', storage: getRxStorageDexie({ chromeTransactionDurability: 'strict' }) })
  const schema = {
    version: 0,
    primaryKey: 'key',
    type: 'object',
    properties: { key: { type: 'string', maxLength: 64 }, row: { type: 'object' } },
    required: ['key', 'row'],
  } as const
  return database.addCollections({ users: { schema } })
}

function draftOf(key: UserKey): UserRecordDraft {
  const session = { accessToken: 'x'.repeat(700), refreshToken: 'y'.repeat(200), accessLifeMs: 900_000, accessExpiresAtMs: Date.now() }
  return {
    key,
    epoch: 1,
    generation: 1,
    status: { kind: 'signed-in' },
    tags: [`tag-of-${key}`],
    incarnation: `data-of-${key}`,
    vault: { kind: 'open', contents: { userId: key, session, identities: [], profile: { email: 'a@example.org' }, customData: {} } },
  }
}
