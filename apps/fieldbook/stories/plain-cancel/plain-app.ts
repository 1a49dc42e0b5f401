/**
 * The control of the log-out story: the same collection and server with RxDB's replication alone, as its guides show it,
 * and with `cancel()` for a log-out. Handlers ask for a fit token first, which may mean a refresh.
 */
import { createRxDatabase } from 'rxdb/plugins/core'
import { replicateRxCollection } from 'rxdb/plugins/replication'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import type { Observation } from '../../src/schemas.ts'
import { observationSchema } from '../../src/schemas.ts'

export interface PlainApp {
  start(person: { readonly email: string; readonly password: string }): Promise<void>
  write(note: string): Promise<void>
  /** Resolves with the moment at which `cancel()` had resolved, milliseconds since 1970. */
  logOut(): Promise<number>
}

interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
}

interface Checkpoint {
  readonly incarnation: string
}

async function startPlainApp(person: { readonly email: string; readonly password: string }) {
  await post('/v1/auth/register', person)
  let tokens = (await post('/v1/auth/login', { provider: 'email-password', ...person })) as Tokens
  const authorized = async () => {
    tokens = (await post('/v1/auth/refresh', { refresh_token: tokens.refresh_token, attempt_id: crypto.randomUUID() })) as Tokens
    return { authorization: `Bearer ${tokens.access_token}`, 'content-type': 'application/json' }
  }

  const database = await createRxDatabase({ name: `plain-${crypto.randomUUID()}`, storage: getRxStorageDexie() })
  const { observations } = await database.addCollections<{ observations: { schema: typeof observationSchema } }>({
    observations: { schema: observationSchema },
  })
  const replication = replicateRxCollection<Observation, Checkpoint>({
    collection: observations,
    replicationIdentifier: 'plain',
    pull: {
      async handler(checkpoint, limit) {
        const query = new URLSearchParams({ scope: 'mine', limit: String(limit) })
        if (checkpoint) query.set('checkpoint', JSON.stringify(checkpoint))
        const answer = await fetch(`/v1/sync/observations/0/pull?${query}`, { headers: await authorized() })
        return (await answer.json()) as { documents: (Observation & { _deleted: boolean })[]; checkpoint: Checkpoint }
      },
    },
    push: {
      async handler(rows) {
        const headers = await authorized()
        const answer = await fetch('/v1/sync/observations/0/push?scope=mine', { method: 'POST', headers, body: JSON.stringify(rows) })
        return ((await answer.json()) as { conflicts: (Observation & { _deleted: boolean })[] }).conflicts
      },
    },
  })
  await replication.awaitInSync()
  return { observations, replication }
}

async function post(path: string, body: unknown): Promise<unknown> {
  const answer = await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return answer.json()
}

let started: Awaited<ReturnType<typeof startPlainApp>> | undefined

const plainApp: PlainApp = {
  async start(person) {
    started = await startPlainApp(person)
  },
  async write(note) {
    const nowMs = Date.now()
    const instants = { observedAtMs: nowMs, createdAtMs: nowMs, updatedAtMs: nowMs }
    await started?.observations.insert({ id: crypto.randomUUID(), species: 'Adelie', island: 'Dream', count: 1, note, ...instants })
  },
  async logOut() {
    await started?.replication.cancel()
    return Date.now()
  },
}

Object.assign(globalThis, { plainApp })
