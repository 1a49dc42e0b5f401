import { createClient } from '@supabase/supabase-js'
import type { RxCollection } from 'rxdb/plugins/core'
import { replicateCouchDB } from 'rxdb/plugins/replication-couchdb'
import { replicateGraphQL } from 'rxdb/plugins/replication-graphql'
import { replicateSupabase } from 'rxdb/plugins/replication-supabase'
import { BehaviorSubject, filter, firstValueFrom } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, FakeSession, foreignDatabase, freshName, IMPATIENT, type Note, pause } from '../test/guarded-app.ts'
import { couchServer, graphqlServer, type PluginServer, postgrestServer } from '../test/plugin-servers.ts'
import type { AttachFactory, SortFailure, SyncSession, SyncState } from './index.ts'
import { couchdbFetch, sortCouchdbFailure } from './rxdb/couchdb.ts'
import { sortGraphqlFailure } from './rxdb/graphql.ts'
import { sortSupabaseFailure } from './rxdb/supabase.ts'
import { createSyncGuard } from './sync-guard.ts'

interface Plugin {
  readonly start: () => Promise<PluginServer>
  readonly sort: SortFailure
  readonly factory: (server: PluginServer, collection: RxCollection<Note>) => AttachFactory
  /** Whether what other devices write shows up without asking. */
  readonly live: boolean
}

const plugins: Record<string, Plugin> = {
  CouchDB: {
    start: couchServer,
    sort: sortCouchdbFailure,
    live: true,
    factory: (server, collection) => (g) =>
      replicateCouchDB<Note>({
        replicationIdentifier: 'couch',
        collection,
        url: `${server.url}/db/`,
        fetch: couchdbFetch(g),
        live: true,
        autoStart: false,
        waitForLeadership: false,
        pull: {},
        push: {},
      }),
  },
  GraphQL: {
    start: graphqlServer,
    sort: sortGraphqlFailure,
    live: false,
    factory: (server, collection) => (g) =>
      replicateGraphQL<Note, { since: number }>({
        replicationIdentifier: 'graphql',
        collection,
        url: { http: server.url },
        fetch: g.fetch,
        autoStart: false,
        waitForLeadership: false,
        pull: {
          queryBuilder: (checkpoint) => ({ query: 'query pull', variables: { since: checkpoint?.since ?? 0 } }),
          dataPath: 'data.pull',
        },
        push: { queryBuilder: (rows) => ({ query: 'mutation push', variables: { rows } }), dataPath: 'data.push' },
      }),
  },
  Supabase: {
    start: postgrestServer,
    sort: sortSupabaseFailure,
    live: false,
    factory: (server, collection) => (g) =>
      replicateSupabase<Note>({
        replicationIdentifier: 'supabase',
        tableName: 'notes',
        collection,
        client: createClient(server.url, 'anon-key', { accessToken: g.token, global: { fetch: g.plainFetch } }) as never,
        live: true,
        autoStart: false,
        waitForLeadership: false,
        pull: {},
        push: {},
      }),
  },
}

async function attached(plugin: Plugin) {
  const server = await plugin.start()
  server.validTokens.add('token-1')
  const db = await foreignDatabase()
  const session = new FakeSession('ada', 'token-1')
  const session$ = new BehaviorSubject<SyncSession | null | undefined>(session)
  const guard = createSyncGuard({ id: freshName('plugin'), session$, policy: { ...IMPATIENT, tabDeadlineMs: 0 } })
  onTestFinished(async () => {
    await guard.dispose()
    await db.close()
  })
  const factory = plugin.factory(server, db.notes)
  const replication = guard.attach(factory, { sortFailure: plugin.sort })
  const until = (matches: (state: SyncState) => boolean) => firstValueFrom(guard.state$.pipe(filter(matches)))
  return { server, db, session, session$, guard, until, replication }
}

const uploaded = (state: SyncState) => state.kind === 'synced' && state.pending.exact && state.pending.count === 0
const sent = (server: PluginServer) => server.requests.length

for (const [name, plugin] of Object.entries(plugins)) {
  test(`${name}: a 401 is one refresh, the write arrives, nothing is asked twice`, async () => {
    const { server, db, session, until } = await attached(plugin)
    await until(uploaded)
    server.validTokens.clear()
    server.validTokens.add('token-2')
    session.next = ['token-2']
    await db.notes.insert({ id: 'a', text: 'x' })

    await eventually(() => server.rows.has('a'))
    await until(uploaded)
    expect(session.refreshed).toBe(1)
  })

  test(`${name}: G5, the refused row is set aside and the rest passes`, async () => {
    const { server, db, until } = await attached(plugin)
    await until(uploaded)
    await db.notes.bulkInsert([
      { id: 'a', text: 'x' },
      { id: 'b', text: 'bad' },
      { id: 'c', text: 'x' },
    ])
    await until((state) => state.rejected === 1 && state.pending.exact && state.pending.count === 0)
    expect([...server.rows.keys()].sort()).toEqual(['a', 'c'])
  })

  test(`${name}: G1, no request after suspend; a session that is over parks; a new one uploads`, async () => {
    const { server, db, session, session$, guard, until } = await attached(plugin)
    await until(uploaded)
    await guard.suspend()
    const before = sent(server)
    await db.notes.insert({ id: 'a', text: 'x' })
    await pause(60)
    expect(sent(server)).toBe(before)

    session.over = 'expired'
    await guard.resume()
    await until(({ kind }) => kind === 'login-required')
    expect(sent(server)).toBe(before)

    server.validTokens.add('token-9')
    session$.next(new FakeSession('ada', 'token-9'))
    await eventually(() => server.rows.has('a'))
    await until(uploaded)
  })
}

test('CouchDB: the long poll survives a 401 and a dead server, and brings changes afterwards', async () => {
  const { server, db, session, until } = await attached(plugins.CouchDB as Plugin)
  await until(uploaded)
  await eventually(() => server.requests.some(({ url }) => url.searchParams.get('feed') === 'longpoll'))
  session.next = ['token-2']
  server.validTokens.clear()
  server.changed()
  await pause(60)
  server.validTokens.add('token-2')

  await fetch(`${server.url}/db/_bulk_docs`, {
    method: 'POST',
    headers: { authorization: 'Bearer token-2' },
    body: JSON.stringify({ docs: [{ _id: 'other', text: 'from elsewhere' }] }),
  })

  await eventually(async () => (await db.notes.findOne('other').exec()) !== null)
})

test('attach() insists on a live replication that it may start itself', async () => {
  const { guard, db, server } = await attached(plugins.GraphQL as Plugin)
  const make = (options: object) => () =>
    guard.attach(() =>
      replicateGraphQL({
        replicationIdentifier: 'x',
        collection: db.notes,
        url: { http: server.url },
        waitForLeadership: false,
        push: { queryBuilder: () => ({ query: '', variables: {} }) },
        ...options,
      }),
    )
  expect(make({ autoStart: true })).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  expect(make({ autoStart: false, live: false })).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
})
