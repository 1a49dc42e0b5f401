import { httpBackend } from '../src/http/index.ts'
import { createApp, MemoryShelf, memorySessionStore, type UserKey } from '../src/index.ts'
import { median } from './median.ts'

export async function restoreUsers({ counts, rounds }: { readonly counts: readonly number[]; readonly rounds: number }) {
  const rows = []
  for (const count of counts) {
    const shelf = await shelfOf(count)
    const times: number[] = []
    for (let round = 0; round < rounds; round += 1) times.push(await restore(shelf))
    rows.push({ users: count, 'median, ms': Number(median(times).toFixed(2)) })
  }
  return rows
}

async function restore(shelf: MemoryShelf): Promise<number> {
  const startedMs = performance.now()
  const app = createApp({ id: 'bench', backend: httpBackend('https://api.example.org'), store: memorySessionStore(shelf) })
  await app.ready
  const ms = performance.now() - startedMs
  if (!app.currentUser) throw new Error('Nobody was restored.')
  await app.close()
  return ms
}

async function shelfOf(count: number): Promise<MemoryShelf> {
  const shelf = new MemoryShelf()
  const store = memorySessionStore(shelf)
  for (let n = 0; n < count; n += 1) {
    const session = { accessToken: `a${n}`, accessLifeMs: 900_000, accessExpiresAtMs: Date.now() + 900_000, refreshToken: `r${n}` }
    await store.update(`key-${n}` as UserKey, null, {
      key: `key-${n}` as UserKey,
      epoch: 1,
      generation: 1,
      status: { kind: 'signed-in' },
      tags: [],
      incarnation: `incarnation-${n}`,
      vault: {
        kind: 'open',
        contents: { userId: `u${n}`, session, identities: [{ id: `u${n}`, provider: 'api-key' }], profile: {}, customData: {} },
      },
    })
  }
  const { revision, ...device } = await store.device.read()
  await store.device.update(revision, { ...device, epoch: 1, currentUser: 'key-0' as UserKey })
  return shelf
}
