import 'fake-indexeddb/auto'
import { startTestServer, type TestServer } from '@nightlatch/server/testing'
import { filter, firstValueFrom } from 'rxjs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Credentials, type KdfSettings, openApp, type SyncEvent, type SyncScopes, type SyncState } from './index.ts'

const taskSchema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 40 }, scope: { type: 'string' }, text: { type: 'string' } },
  required: ['id', 'text'],
} as const

const floor: KdfSettings = { name: 'argon2id', memoryKiB: 19_456, passes: 2 }

let server: TestServer
let names = 0
const apps: { close(): Promise<void> }[] = []

beforeAll(async () => {
  const scopes = ['mine', 'team:*', 'public'] as const
  server = await startTestServer({
    config: {
      collections: {
        tasks: { schemaVersion: 0, scope: [...scopes], scopeField: 'scope', write: ['mine', 'team:*'] },
        bulletins: { schemaVersion: 0, scope: ['team:*', 'public'] },
      },
    },
  })
}, 60_000)
afterAll(() => server.close())
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

interface Setting {
  readonly tasks?: SyncScopes
  readonly bulletins?: SyncScopes
  readonly revokedScopes?: 'purge' | 'keep'
}

/** An app whose user is a writer of these teams. */
async function memberOf(teams: readonly string[], { tasks = {}, bulletins = { read: ['public'], write: false }, revokedScopes }: Setting) {
  names += 1
  const app = await openApp({
    kdf: floor,
    id: `scopes-${names}`,
    server: server.url,
    syncPolicy: { firstRetryMs: 20, longestRetryMs: 100, ...(revokedScopes && { revokedScopes }) },
    collections: {
      tasks: { schema: taskSchema, sync: { scopeField: 'scope', ...tasks } },
      bulletins: { schema: taskSchema, sync: bulletins },
    },
  })
  apps.push(app)
  const [email, password] = [`member${names}@example.org`, 'correct horse battery']
  await app.emailPasswordAuth.registerUser({ email, password })
  const user = await app.logIn(Credentials.emailPassword(email, password))
  for (const team of teams) await server.admin.setMember(team, user.id, 'writer')
  const events: SyncEvent[] = []
  app.sync.events$.subscribe((event) => events.push(event))
  const db = await app.openDatabase()
  const until = (matches: (state: SyncState) => boolean) => firstValueFrom(app.syncState$.pipe(filter(matches)))
  const put = (role: 'reader' | 'writer' | null, team = teams[0] ?? '') => server.admin.setMember(team, user.id, role)
  const ids = async (name: 'tasks' | 'bulletins' = 'tasks') => (await db[name].find().exec()).map(({ id }) => id).sort()
  const revocations = () => events.flatMap((event) => (event.type === 'scope-revoked' ? [event] : []))
  return { app, db, until, put, ids, revocations }
}

/** Documents of others, there before anybody looks. */
async function others(collection: string, team: string, ids: readonly string[]) {
  const writer = await server.client.newAccount()
  await server.admin.setMember(team, writer.user_id, 'writer')
  const rows = ids.map((id) => ({ newDocumentState: { id, scope: team, text: 'of the team' } }))
  const answer = await server.client.post(`/v1/sync/${collection}/0/push?scope=${team}`, rows, writer.access_token)
  expect(answer.status).toBe(200)
}

const sent = ({ kind, pending }: SyncState) => kind === 'synced' && pending.exact && pending.count === 0

describe('several scopes in one collection, on the real server', () => {
  test('each document goes where it says; one of a scope that is only read is a rejected write, offline too', async () => {
    const { app, db, until } = await memberOf(['team:one'], {
      tasks: { read: ['mine', 'team:one', 'public'], write: ['mine', 'team:one'] },
    })
    await until(sent)
    await app.sync.suspend()
    await db.tasks.bulkInsert([
      { id: 'a', scope: 'mine', text: 'for me' },
      { id: 'b', scope: 'team:one', text: 'for us' },
      { id: 'c', scope: 'public', text: 'for everybody' },
      { id: 'd', text: 'for me, without saying so', scope: 'mine' },
    ])

    await until(({ pending, rejected }) => pending.exact && pending.count === 3 && rejected === 1)
    expect(await app.sync.rejectedWrites.list()).toMatchObject([{ documentId: 'c', code: 'read_only_scope' }])

    await app.sync.resume()
    await until((state) => sent(state) && state.rejected === 1)
    expect(await app.sync.exportPending()).toMatchObject([{ documentId: 'c', rejected: 'read_only_scope' }])
    const reader = await server.client.newAccount()
    await server.admin.setMember('team:one', reader.user_id, 'reader')
    const pulled = await server.client.get('/v1/sync/tasks/0/pull?scope=team:one&scope=public', reader.access_token)
    expect(pulled.body).toMatchObject({ documents: [{ id: 'b' }] })
    await app.sync.rejectedWrites.discard()
    expect(await db.tasks.findOne('c').exec()).toBeNull()
  })

  test('G3: a scope that is revoked goes, its unsent writes are kept as rejected, the others sync on', async () => {
    await others('tasks', 'team:two', ['t1', 't2', 't3'])
    const { app, db, until, put, ids, revocations } = await memberOf(['team:two'], {
      tasks: { read: ['mine', 'team:two'], write: ['mine', 'team:two'] },
    })
    await db.tasks.insert({ id: 'm1', scope: 'mine', text: 'mine' })
    await until((state) => sent(state) && state.collections.tasks?.received === 3)
    await app.sync.suspend()
    await db.tasks.findOne('t2').modify((task) => ({ ...task, text: 'edited here' }))
    await db.tasks.insert({ id: 't4', scope: 'team:two', text: 'written here' })
    await db.tasks.insert({ id: 'm2', scope: 'mine', text: 'mine too' })
    await put(null)
    await app.sync.resume()

    await until((state) => sent(state) && state.rejected === 2)

    expect(await ids()).toEqual(['m1', 'm2', 't2', 't4'])
    expect(revocations()).toMatchObject([{ collection: 'tasks', scope: 'team:two', rejected: 2 }])
    expect(app.syncState.collections.tasks?.revokedScopes).toEqual(['team:two'])
    const rejected = await app.sync.rejectedWrites.list()
    expect(rejected.map(({ documentId, code }) => [documentId, code]).sort()).toEqual([
      ['t2', 'scope_revoked'],
      ['t4', 'scope_revoked'],
    ])
    // What was removed holds nothing any more, and what is discarded goes too.
    const [removed] = await db.tasks.storageInstance.findDocumentsById(['t1'], true)
    expect(removed).toMatchObject({ id: 't1', _deleted: true })
    expect(JSON.stringify(removed)).not.toContain('of the team')
    expect(await app.sync.rejectedWrites.discard()).toBe(2)
    await db.tasks.insert({ id: 'm3', scope: 'mine', text: 'goes on' })
    await until((state) => sent(state) && state.rejected === 0)
    expect(await ids()).toEqual(['m1', 'm2', 'm3'])
  })

  test('a revocation while sync runs is noticed by itself', async () => {
    await others('tasks', 'team:three', ['t1'])
    const { until, put, ids } = await memberOf(['team:three'], { tasks: { read: ['mine', 'team:three'], write: 'mine' } })
    await until((state) => sent(state) && state.collections.tasks?.received === 1)

    await put(null)

    await until((state) => sent(state) && state.collections.tasks?.revokedScopes?.includes('team:three') === true)
    expect(await ids()).toEqual([])
  })

  test('a scope that is open again is pulled from its beginning, and what was rejected can be sent', async () => {
    await others('tasks', 'team:four', ['t1', 't2'])
    const { app, db, until, put, ids, revocations } = await memberOf(['team:four'], {
      tasks: { read: ['mine', 'team:four'], write: ['mine', 'team:four'] },
    })
    await until((state) => sent(state) && state.collections.tasks?.received === 2)
    await app.sync.suspend()
    await db.tasks.findOne('t2').modify((task) => ({ ...task, text: 'edited here' }))
    await put(null)
    await app.sync.resume()
    await until((state) => sent(state) && state.rejected === 1)
    expect(await ids()).toEqual(['t2'])

    await put('writer')
    await app.sync.suspend()
    await app.sync.resume()
    await until((state) => sent(state) && state.collections.tasks?.revokedScopes === undefined)
    expect(await ids()).toEqual(['t1', 't2'])
    await app.sync.rejectedWrites.retry()
    await until((state) => sent(state) && state.rejected === 0)

    const pulled = await server.client.newAccount()
    await server.admin.setMember('team:four', pulled.user_id, 'reader')
    const { body } = await server.client.get('/v1/sync/tasks/0/pull?scope=team:four', pulled.access_token)
    expect(body).toMatchObject({ documents: [{ id: 't1' }, { id: 't2', text: 'edited here' }] })
    expect(revocations()).toHaveLength(1)
  })

  test('with the policy "keep" documents of a revoked scope stay to be read', async () => {
    await others('tasks', 'team:five', ['t1'])
    const { db, until, put, ids } = await memberOf(['team:five'], {
      tasks: { read: ['mine', 'team:five'], write: ['mine', 'team:five'] },
      revokedScopes: 'keep',
    })
    await until((state) => sent(state) && state.collections.tasks?.received === 1)
    await put(null)
    await until((state) => sent(state) && state.collections.tasks?.revokedScopes !== undefined)

    expect(await ids()).toEqual(['t1'])
    await db.tasks.findOne('t1').modify((task) => ({ ...task, text: 'edited after' }))
    await until((state) => sent(state) && state.rejected === 1)
    expect((await db.tasks.findOne('t1').exec())?.text).toBe('edited after')
  })

  test('documents that do not tell their scope: everything is pulled again, and what is left over goes', async () => {
    await others('bulletins', 'team:six', ['b1', 'b2'])
    await others('bulletins', 'team:seven', ['b3'])
    const { app, until, put, ids, revocations } = await memberOf(['team:six', 'team:seven'], {
      bulletins: { read: ['team:six', 'team:seven'], write: false },
    })
    await until((state) => state.kind === 'synced' && state.collections.bulletins?.received === 3)
    await put(null, 'team:six')

    await until((state) => state.kind === 'synced' && state.collections.bulletins?.revokedScopes?.includes('team:six') === true)
    await app.sync.firstSync({ name: 'bulletins' })
    await expect.poll(() => ids('bulletins')).toEqual(['b3'])
    expect(revocations()).toMatchObject([{ collection: 'bulletins', scope: 'team:six', rejected: 0 }])
  })

  test('when the only scope is revoked its documents go, the collection waits, and it opens by itself', async () => {
    await others('bulletins', 'team:eight', ['b1'])
    const { until, put, ids } = await memberOf(['team:eight'], { bulletins: { read: ['team:eight'], write: false } })
    await until((state) => state.kind === 'synced' && state.collections.bulletins?.received === 1)

    await put(null)
    const blocked = await until((state) => state.kind === 'blocked')
    expect(blocked).toMatchObject({ cause: 'forbidden', collections: { bulletins: { revokedScopes: ['team:eight'] } } })
    expect(await ids('bulletins')).toEqual([])

    await put('reader')
    await until((state) => state.kind === 'synced')
    await expect.poll(() => ids('bulletins')).toEqual(['b1'])
  })
})

test('several scopes to write to need a field that tells them apart', async () => {
  const opening = memberOf([], { tasks: { read: ['mine', 'team:x'], write: ['mine', 'team:x'], scopeField: undefined as never } })
  await expect(opening).rejects.toMatchObject({ code: 'invalid-argument' })
})
