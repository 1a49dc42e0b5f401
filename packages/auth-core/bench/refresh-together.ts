import { httpBackend } from '../src/http/index.ts'
import { Credentials, createApp, MemoryShelf, memorySessionStore, type User } from '../src/index.ts'
import { realmLocks, realWorld } from '../src/world/index.ts'
import { median } from './median.ts'

interface Crowd {
  readonly tabs: number
  readonly callers: number
  readonly latencyMs: number
  readonly rounds: number
}

/** A token endpoint that counts, and gives tokens that are stale at once unless they were renewed. */
function tokenEndpoint(latencyMs: number) {
  let requests = 0
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const isLogIn = new URL(new Request(input, init).url).pathname.endsWith('/login')
    if (!isLogIn) requests += 1
    await new Promise((resolve) => setTimeout(resolve, latencyMs))
    return Response.json({
      token_type: 'Bearer',
      access_token: `a${requests}`,
      expires_in: isLogIn ? 0.001 : 900,
      refresh_token: 'r',
      user_id: 'u1',
      identities: [],
    })
  }
  return { fetch, requests: () => requests }
}

/** Everybody asks at once; with Nightlatch, and with a client that refreshes whenever its token is stale. Same run, in turns. */
export async function refreshTogether(crowd: Crowd) {
  const rounds = []
  for (let round = 0; round < crowd.rounds; round += 1) rounds.push({ own: await ownRound(crowd), naive: await naiveRound(crowd) })
  const own = { requests: median(rounds.map((r) => r.own.requests)), ms: median(rounds.map((r) => r.own.ms)) }
  const naive = { requests: median(rounds.map((r) => r.naive.requests)), ms: median(rounds.map((r) => r.naive.ms)) }
  const asRow = ({ requests, ms }: typeof own) => ({ refreshes: requests, 'all 500 served after, ms': Math.round(ms) })
  return {
    'auth-core': asRow(own),
    'no single flight': asRow(naive),
    'naive / own': { refreshes: naive.requests / own.requests, 'all 500 served after, ms': Number((naive.ms / own.ms).toFixed(2)) },
    'fit token, per call, µs': { refreshes: 0, 'all 500 served after, ms': Number((await fitCallUs()).toFixed(1)) },
  }
}

async function ownRound({ tabs, callers, latencyMs }: Crowd) {
  const endpoint = tokenEndpoint(latencyMs)
  const { users, close } = await openTabs(tabs, endpoint.fetch)
  return { ...(await timed(users, callers, (user) => user.getAccessToken(), endpoint.requests)), closed: await close() }
}

async function naiveRound({ tabs, callers, latencyMs }: Crowd) {
  const endpoint = tokenEndpoint(latencyMs)
  const clients = Array.from({ length: tabs }, () => ({ token: '', expiresAtMs: 0 }))
  const getToken = async (client: (typeof clients)[number]) => {
    if (client.expiresAtMs > Date.now()) return client.token
    const answer = await endpoint.fetch('https://api.example.org/v1/auth/refresh', { method: 'POST', body: '{}' })
    const { access_token, expires_in } = (await answer.json()) as { access_token: string; expires_in: number }
    Object.assign(client, { token: access_token, expiresAtMs: Date.now() + expires_in * 1000 })
    return client.token
  }
  return timed(clients, callers, getToken, endpoint.requests)
}

async function timed<Client>(
  clients: readonly Client[],
  callers: number,
  ask: (client: Client) => Promise<string>,
  requests: () => number,
) {
  const startedMs = performance.now()
  await Promise.all(clients.flatMap((client) => Array.from({ length: callers }, () => ask(client))))
  return { ms: performance.now() - startedMs, requests: requests() }
}

/** Tabs of one device: one shelf, one set of locks. */
async function openTabs(count: number, fetch: typeof globalThis.fetch) {
  const shelf = new MemoryShelf()
  const locks = { ...realmLocks(), acrossTabs: true }
  const open = async () => {
    const connectivity = { online: false, watch: () => () => {} } // nothing is renewed before somebody asks
    const world = { ...realWorld(), locks, fetch, connectivity }
    const app = createApp({ id: 'bench', backend: httpBackend('https://api.example.org'), store: memorySessionStore(shelf), world })
    await app.ready
    return app
  }
  const first = await open()
  await first.logIn(Credentials.apiKey('key'))
  const apps = [first, ...(await Promise.all(Array.from({ length: count - 1 }, open)))]
  const users = apps.flatMap(({ currentUser }): User[] => (currentUser ? [currentUser] : []))
  return { users, close: () => Promise.all(apps.map((app) => app.close())) }
}

async function fitCallUs(): Promise<number> {
  const { users, close } = await openTabs(1, tokenEndpoint(0).fetch)
  const [user] = users
  if (!user) throw new Error('Nobody is logged in.')
  await user.getAccessToken()
  const calls = 20_000
  const startedMs = performance.now()
  for (let call = 0; call < calls; call += 1) await user.getAccessToken()
  const us = ((performance.now() - startedMs) / calls) * 1000
  await close()
  return us
}
