import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer } from './testing/test-client.ts'
import { startTestServer, type TestServer, testEngines } from './testing/test-server.ts'

const notes = '/v1/sync/notes/0'

describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer
  let statementsUntilFault = Number.POSITIVE_INFINITY

  beforeAll(async () => {
    server = await startTestServer({
      engine,
      config: { collections: { notes: { schemaVersion: 0 } } },
      beforeStatement: () => {
        if (--statementsUntilFault === 0) throw new Error('The connection broke.')
      },
    })
  }, 60_000)
  afterAll(() => server.close())

  /** Lets the first statement fail, then the second, … until `act` needs fewer. Tells how many it failed at. */
  async function failAtEveryStatement(act: () => Promise<Answer>, check: () => Promise<void>): Promise<number> {
    for (let n = 1; ; n++) {
      statementsUntilFault = n
      const answer = await act()
      const failed = statementsUntilFault <= 0
      statementsUntilFault = Number.POSITIVE_INFINITY
      if (!failed) {
        expect(answer.status).toBe(200)
        return n - 1
      }
      expect(answer).toMatchObject({ status: 500, body: { code: 'internal' } })
      await check()
    }
  }

  test('S1: a refresh that fails at any statement has changed nothing, and its repetition works', async () => {
    const { refresh_token, access_token, session_id } = await server.client.newAccount()

    const failures = await failAtEveryStatement(
      () => server.client.refresh(refresh_token, 'the attempt'),
      async () => {
        expect((await server.client.get('/v1/auth/profile', access_token)).status).toBe(200)
        const retried = await server.client.refreshed(refresh_token, 'the attempt')
        expect(retried.session_id).toBe(session_id)
        expect(retried.refresh_token.split('.')[3]).toBe('1')
      },
    )

    expect(failures).toBeGreaterThan(0)
  })

  test('S6: a log-in that fails at any statement leaves no session behind', async () => {
    const { email, password, access_token } = await server.client.newAccount()
    const sessions = async () =>
      ((await server.client.get('/v1/auth/sessions', access_token)).body as { sessions: object[] }).sessions.length

    const failures = await failAtEveryStatement(
      () => server.client.post('/v1/auth/login', { provider: 'email-password', email, password }),
      async () => expect(await sessions()).toBe(1),
    )

    expect(failures).toBeGreaterThan(4)
    expect(await sessions()).toBe(2)
  })

  test('S6: a registration that fails at any statement can be repeated', async () => {
    let address = 0
    const failures = await failAtEveryStatement(
      async () => {
        const answer = await server.client.post('/v1/auth/register', {
          email: `fault-${engine}-${++address}@example.org`,
          password: 'correct horse battery',
        })
        return answer.status === 201 ? { ...answer, status: 200 } : answer
      },
      async () => {
        const again = { email: `fault-${engine}-${address}@example.org`, password: 'correct horse battery' }
        expect((await server.client.post('/v1/auth/register', again)).status).toBe(201)
      },
    )
    expect(failures).toBeGreaterThan(3)
  })

  test('G3: a push that fails at any statement has written nothing, and its repetition is accepted once', async () => {
    const { access_token } = await server.client.newAccount()
    const rows = [{ newDocumentState: { id: 'a' } }, { newDocumentState: { id: 'b' } }]
    const seen = async () => (await server.client.get(`${notes}/pull`, access_token)).body

    const failures = await failAtEveryStatement(
      () => server.client.post(`${notes}/push`, rows, access_token),
      async () => expect(await seen()).toMatchObject({ documents: [], checkpoint: { scopes: { mine: 0 } } }),
    )

    expect(failures).toBeGreaterThan(5)
    expect(await server.client.post(`${notes}/push`, rows, access_token)).toMatchObject({ body: { conflicts: [], rejected: [] } })
    expect(await seen()).toMatchObject({ documents: [{ id: 'a' }, { id: 'b' }], checkpoint: { scopes: { mine: 2 } } })
  })
})
