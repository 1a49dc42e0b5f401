import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from './database/open-database.ts'
import { silentLog } from './log.ts'
import { startServer } from './start-server.ts'
import { enterFence } from './sync/fence.ts'
import { readEvents } from './testing/read-events.ts'
import { TestClient } from './testing/test-client.ts'
import { startTestServer, type TestServer, testEngines } from './testing/test-server.ts'

const tasks = '/v1/sync/tasks/0'
const accepted = { status: 200, body: { conflicts: [], rejected: [] } }

describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer({
      engine,
      config: {
        collections: {
          tasks: { schemaVersion: 0, scope: ['mine', 'team:*', 'public'], scopeField: 'scope', write: ['mine', 'team:*'] },
          letters: { schemaVersion: 0, scope: 'public', primaryKey: 'nr' },
        },
      },
      hooks: {
        letters: {
          mayRead: ({ document, userId }) => document.to === userId || document.from === userId,
          validateWrite: ({ document, userId }) =>
            document.from === userId ? undefined : { code: 'forged_sender', error: 'Send letters in your own name.' },
        },
      },
    })
  }, 60_000)
  afterAll(() => server.close())

  const push = (token: string, scopes: string, rows: object[]) => server.client.post(`${tasks}/push?${scopes}`, rows, token)
  const pull = async (token: string, scopes: string, checkpoint?: unknown, limit = 100) => {
    const position = checkpoint === undefined ? '' : `&checkpoint=${encodeURIComponent(JSON.stringify(checkpoint))}`
    const answer = await server.client.get(`${tasks}/pull?${scopes}&limit=${limit}${position}`, token)
    const body = answer.body as {
      documents: { id: string }[]
      checkpoint: { incarnation: string; scopes: Record<string, number> }
      code?: string
      scopes?: string[]
    }
    return { ...body, status: answer.status, ids: body.documents?.map(({ id }) => id) }
  }
  const task = (id: string, scope: string, more: object = {}) => ({ newDocumentState: { id, scope, ...more } })

  async function team(name: string) {
    const [writer, reader, stranger] = [
      await server.client.newAccount(),
      await server.client.newAccount(),
      await server.client.newAccount(),
    ]
    await server.admin.setMember(name, writer.user_id, 'writer')
    await server.admin.setMember(name, reader.user_id, 'reader')
    return { writer, reader, stranger }
  }

  test('members read a team’s scope, writers write it, strangers do neither', async () => {
    const { writer, reader, stranger } = await team('team:geese')
    expect(await push(writer.access_token, 'scope=team:geese', [task('t1', 'team:geese')])).toMatchObject(accepted)

    expect((await pull(reader.access_token, 'scope=team:geese')).ids).toEqual(['t1'])
    expect(await push(reader.access_token, 'scope=team:geese', [task('t2', 'team:geese')])).toMatchObject({
      status: 403,
      body: { code: 'read_only' },
    })
    expect(await pull(stranger.access_token, 'scope=team:geese')).toMatchObject({ status: 403, code: 'scope_denied' })
    expect(await push(stranger.access_token, 'scope=team:geese', [])).toMatchObject({ status: 403, body: { code: 'scope_denied' } })

    await server.admin.setMember('team:geese', reader.user_id, null)
    expect(await pull(reader.access_token, 'scope=team:geese')).toMatchObject({ status: 403, code: 'scope_denied' })
  })

  test('a refusal names the scopes that are not open, and no others', async () => {
    const { reader } = await team('team:rooks')
    const scopes = 'scope=team:none&scope=mine&scope=team:rooks&scope=team:else'
    const denied = { status: 403, code: 'scope_denied', scopes: ['team:none', 'team:else'] }

    expect(await pull(reader.access_token, scopes)).toMatchObject(denied)
    expect(await server.client.get(`${tasks}/stream?${scopes}`, reader.access_token)).toMatchObject({
      status: 403,
      body: { scopes: denied.scopes },
    })
  })

  test('a member who is put out hears on the open stream that there is something to look at', async () => {
    const { reader } = await team('team:jays')
    const events = await readEvents(`${server.url}${tasks}/stream?scope=mine&scope=team:jays`, reader.access_token)
    await events.next()

    await server.admin.setMember('team:jays', reader.user_id, null)

    expect(await events.next()).toMatchObject({ data: 'RESYNC' })
    await events.close()
  })

  test('one push to several scopes goes where each document says; rows of read-only scopes are rejected alone', async () => {
    const { writer } = await team('team:swans')
    const rows = [task('a', 'mine'), task('b', 'team:swans'), task('c', 'public'), task('d', 'team:other'), task('e', 'mine')]

    const answer = await push(writer.access_token, 'scope=mine&scope=team:swans&scope=public', rows)

    expect(answer.body).toMatchObject({
      conflicts: [],
      rejected: [
        { id: 'c', code: 'read_only' },
        { id: 'd', code: 'scope_mismatch' },
      ],
    })
    expect((await pull(writer.access_token, 'scope=mine')).ids).toEqual(['a', 'e'])
    expect((await pull(writer.access_token, 'scope=team:swans')).ids).toEqual(['b'])
  })

  test('a document does not move to another scope', async () => {
    const { writer } = await team('team:owls')
    await push(writer.access_token, 'scope=mine', [task('m', 'mine')])
    const move = { newDocumentState: { id: 'm', scope: 'team:owls' }, assumedMasterState: { id: 'm', scope: 'mine', _deleted: false } }

    const answer = await push(writer.access_token, 'scope=mine&scope=team:owls', [move])

    expect(answer.body).toMatchObject({ rejected: [{ id: 'm', code: 'scope_change' }] })
  })

  test('a checkpoint counts every scope for itself, and a scope that is added starts at zero', async () => {
    const { writer } = await team('team:crows')
    await push(writer.access_token, 'scope=mine', [task('1', 'mine'), task('2', 'mine'), task('3', 'mine')])
    await push(writer.access_token, 'scope=team:crows', [task('4', 'team:crows'), task('5', 'team:crows')])

    const first = await pull(writer.access_token, 'scope=mine', undefined, 2)
    expect(first).toMatchObject({ ids: ['1', '2'], checkpoint: { scopes: { mine: 2 } } })
    const both = await pull(writer.access_token, 'scope=mine&scope=team:crows', first.checkpoint, 2)
    expect(both).toMatchObject({ ids: ['3', '4'], checkpoint: { scopes: { mine: 3, 'team:crows': 1 } } })
    const rest = await pull(writer.access_token, 'scope=team:crows&scope=mine', both.checkpoint, 2)
    expect(rest).toMatchObject({ ids: ['5'], checkpoint: { scopes: { mine: 3, 'team:crows': 2 } } })
  })

  test('a stream of several scopes tells of changes in each', async () => {
    const { writer, reader } = await team('team:terns')
    const events = await readEvents(`${server.url}${tasks}/stream?scope=mine&scope=team:terns`, reader.access_token)
    await events.next()

    await push(writer.access_token, 'scope=team:terns', [task('1', 'team:terns')])
    expect(await events.next()).toMatchObject({ data: 'RESYNC' })
    await push(reader.access_token, 'scope=mine', [task('1', 'mine')])
    expect(await events.next()).toMatchObject({ data: 'RESYNC' })
    await events.close()
  })

  test('hooks decide who reads and writes: others’ letters look deleted, forged ones are rejected', async () => {
    const [ada, bob, eve] = [await server.client.newAccount(), await server.client.newAccount(), await server.client.newAccount()]
    const letter = { newDocumentState: { nr: ada.user_id, from: ada.user_id, to: bob.user_id, text: 'secret' } }
    const path = '/v1/sync/letters/0'
    expect(await server.client.post(`${path}/push?scope=public`, [letter], eve.access_token)).toMatchObject({
      body: { rejected: [{ id: ada.user_id, code: 'forged_sender' }] },
    })
    expect(await server.client.post(`${path}/push?scope=public`, [letter], ada.access_token)).toMatchObject(accepted)

    const seenBy = async (token: string) => (await server.client.get(`${path}/pull?scope=public`, token)).body
    expect(await seenBy(bob.access_token)).toMatchObject({ documents: [{ text: 'secret', _deleted: false }] })
    expect(await seenBy(eve.access_token)).toMatchObject({ documents: [{ nr: ada.user_id, _deleted: true }] })
    expect(JSON.stringify(await seenBy(eve.access_token))).not.toContain('secret')
    const overwrite = { newDocumentState: { nr: ada.user_id, from: eve.user_id } }
    const answer = await server.client.post(`${path}/push?scope=public`, [overwrite], eve.access_token)
    expect(answer.body).toMatchObject({ conflicts: [], rejected: [{ code: 'not_permitted' }] })
  })

  test('tombstones are pulled until they are purged; a checkpoint from before must resync, a newer one goes on', async () => {
    const { access_token: token, email, password } = await server.client.newAccount()
    await push(token, 'scope=mine', [task('old', 'mine'), task('kept', 'mine')])
    const before = await pull(token, 'scope=mine')
    await push(token, 'scope=mine', [
      { newDocumentState: { id: 'old', scope: 'mine', _deleted: true }, assumedMasterState: { id: 'old', scope: 'mine', _deleted: false } },
    ])
    const after = await pull(token, 'scope=mine')
    expect(after.documents).toMatchObject([{ id: 'kept' }, { id: 'old', _deleted: true }])
    expect(await server.admin.purge()).toBe(0)

    server.pass({ days: 181 })
    expect(await server.admin.purge()).toBe(1)

    const { access_token: later } = await server.client.logIn(email, password)
    expect(await pull(later, 'scope=mine', before.checkpoint)).toMatchObject({ status: 410, code: 'resync_required' })
    expect(await pull(later, 'scope=mine', after.checkpoint)).toMatchObject({ status: 200, ids: [] })
    expect((await pull(later, 'scope=mine')).ids).toEqual(['kept'])
  })

  test('a disabled user is refused everywhere until enabled again', async () => {
    const account = await server.client.newAccount()
    await server.admin.disableUser(account.user_id)

    expect(await pull(account.access_token, 'scope=mine')).toMatchObject({ status: 401, code: 'user_disabled' })
    expect(await server.client.refresh(account.refresh_token)).toMatchObject({ status: 400, body: { code: 'user_disabled' } })
    const logIn = () =>
      server.client.post('/v1/auth/login', { provider: 'email-password', email: account.email, password: account.password })
    expect(await logIn()).toMatchObject({ status: 403, body: { code: 'user_disabled' } })

    await server.admin.enableUser(account.user_id)
    expect((await logIn()).status).toBe(200)
    expect(await server.client.refresh(account.refresh_token)).toMatchObject({ body: { code: 'user_disabled' } }) // that session stays over
  })
})

describe.each(testEngines)('a collection whose schema version was raised, on %s', (engine) => {
  test('is read and written in the shape of today, and a client that has migrated its own copy meets no conflict', async () => {
    const old = await startTestServer({ engine, config: { collections: { notes: { schemaVersion: 0 } } } })
    const { access_token: token } = await old.client.newAccount()
    const [a, b] = [
      { id: 'a', text: 'one' },
      { id: 'b', text: 'two' },
    ]
    await old.client.post(
      '/v1/sync/notes/0/push',
      [a, b].map((newDocumentState) => ({ newDocumentState })),
      token,
    )
    await old.stop()
    const server = await startServer({
      dataDir: old.dataDir,
      ...(old.databaseUrl !== undefined && { databaseUrl: old.databaseUrl }),
      config: { collections: { notes: { schemaVersion: 1 } } },
      hooks: { notes: { upgrade: (note) => ('words' in note ? note : { ...note, words: String(note.text).split(' ').length }) } },
    })
    const client = new TestClient(server.url)

    expect(await client.get('/v1/sync/notes/0/pull', token)).toMatchObject({ status: 426, body: { code: 'schema_outdated' } })
    const pulled = await client.get('/v1/sync/notes/1/pull', token)
    expect(pulled.body).toMatchObject({
      documents: [
        { ...a, words: 1 },
        { ...b, words: 1 },
      ],
    })
    const assumedMasterState = { ...a, words: 1, _deleted: false }
    const newDocumentState = { ...a, text: 'one edited', words: 2, _deleted: false }
    expect(await client.post('/v1/sync/notes/1/push', [{ newDocumentState, assumedMasterState }], token)).toMatchObject(accepted)
    const foreign = await client.post('/v1/sync/notes/1/push', [{ newDocumentState: { ...b, text: 'x' } }], token)
    expect(foreign.body).toMatchObject({ conflicts: [{ ...b, words: 1 }] })
    await server.close()
    await old.close()
  }, 60_000)
})

describe.each(testEngines)('the fence on %s', (engine) => {
  test('a query that forgets its filter sees and changes nothing of other scopes, nor accounts', async () => {
    const server = await startTestServer({ engine, config: { collections: { notes: { schemaVersion: 0 } } } })
    const [ada, bob] = [await server.client.newAccount(), await server.client.newAccount()]
    for (const { access_token, email } of [ada, bob]) {
      await server.client.post('/v1/sync/notes/0/push', [{ newDocumentState: { id: 'n', email } }], access_token)
    }
    if (engine === 'pglite') await server.stop() // one process at a time
    const database = await openDatabase({ dataDir: server.dataDir, databaseUrl: server.databaseUrl }, silentLog)

    const inFence = <T>(query: string) =>
      database.db.transaction().execute(async (tx) => {
        await enterFence(tx, [{ alias: 'mine', key: `user:${ada.user_id}`, writable: true }])
        return (await sql.raw<T>(query).execute(tx)).rows
      })

    expect(await inFence<{ scope: string }>('select scope from sync_docs')).toEqual([{ scope: `user:${ada.user_id}` }])
    expect(await inFence('update sync_docs set data = data returning scope')).toHaveLength(1)
    expect(await inFence('select * from sync_heads')).toHaveLength(1)
    const foreign = `insert into sync_docs values ('notes', 'user:${bob.user_id}', 'x', 9, false, '{}', 0, null)`
    await expect(inFence(foreign)).rejects.toThrow(/row-level security/)
    await expect(inFence('delete from sync_docs')).rejects.toThrow(/permission denied/)
    for (const table of ['users', 'passwords', 'sessions', 'signing_keys']) {
      await expect(inFence(`select * from ${table}`)).rejects.toThrow(/permission denied/)
    }
    const { rows } = await sql`select scope from sync_docs`.execute(database.db)
    expect(rows).toHaveLength(2) // the role ended with its transaction
    await database.close()
    await server.close()
  }, 60_000)
})
