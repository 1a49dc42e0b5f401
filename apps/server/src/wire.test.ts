import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readEvents } from './testing/read-events.ts'
import { startTestServer, type TestServer, testEngines } from './testing/test-server.ts'

const ORIGIN = 'https://app.example.org'
const notes = '/v1/sync/notes/0'
describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer

  beforeAll(async () => {
    server = await startTestServer({ engine, origins: [ORIGIN], config: { collections: { notes: { schemaVersion: 0 } } }, devRoutes: true })
  }, 60_000)
  afterAll(() => server.close())

  test('registers, logs in and tells everything an offline client needs', async () => {
    const { client } = server
    const email = 'Ada@Example.org'
    expect(await client.post('/v1/auth/register', { email, password: 'correct horse battery' })).toMatchObject({ status: 201, body: {} })

    const answer = await client.post('/v1/auth/login', {
      provider: 'email-password',
      email: ' ada@example.ORG '.trim(),
      password: 'correct horse battery',
    })

    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const day = 86_400_000
    const grant = answer.body as Record<string, unknown> & { server_time_ms: number; session_id: string; access_token: string }
    expect(grant).toMatchObject({ token_type: 'Bearer', expires_in: 900, is_new: false })
    expect(grant.session_idle_ends_at_ms).toBeCloseTo(grant.server_time_ms + 60 * day, -3)
    expect(grant.session_ends_at_ms).toBeCloseTo(grant.server_time_ms + 180 * day, -3)
    expect(grant.refresh_token).toMatch(new RegExp(`^v1\\.k1\\.${grant.session_id}\\.0\\.[\\w-]{43}$`))
    expect(grant.revoke_handle).toMatch(new RegExp(`^r1\\.k1\\.${grant.session_id}\\.[\\w-]{43}$`))

    expect((await client.get('/v1/auth/profile', grant.access_token)).body).toEqual({
      user_id: grant.user_id,
      identities: [{ id: expect.any(String) as string, provider: 'email-password' }],
      profile: { email },
      custom_data: {},
    })
  })

  test('access tokens are verified by anybody who has the JWKS', async () => {
    const { access_token, user_id, session_id } = await server.client.newAccount()

    const { payload, protectedHeader } = await jwtVerify(access_token, createRemoteJWKSet(new URL('/.well-known/jwks.json', server.url)))

    expect(protectedHeader).toMatchObject({ alg: 'ES256', typ: 'at+jwt' })
    expect(payload).toMatchObject({ sub: user_id, sid: session_id, gen: 0, iss: payload.aud })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(900)
  })

  test('an anonymous session has an idle end only', async () => {
    const first = await server.client.logInAnonymously()
    const second = await server.client.logInAnonymously()

    expect(first).toMatchObject({ session_ends_at_ms: null, is_new: true })
    expect(first.session_idle_ends_at_ms).toBeCloseTo(first.server_time_ms + 180 * 86_400_000, -3)
    expect(second.user_id).not.toBe(first.user_id)
    expect(await server.client.refreshed(first.refresh_token)).toMatchObject({ user_id: first.user_id, session_ends_at_ms: null })
  })

  test('keeps the device id that it gave to this user, and gives another user another one', async () => {
    const ada = await server.client.newAccount()
    const bob = await server.client.newAccount()
    const logIn = (who: typeof ada, device_id: string) =>
      server.client.post('/v1/auth/login', { provider: 'email-password', email: who.email, password: who.password, device_id })

    expect((await logIn(ada, ada.device_id)).body).toMatchObject({ device_id: ada.device_id })
    expect((await logIn(bob, ada.device_id)).body).not.toMatchObject({ device_id: ada.device_id })
  })

  test('pushes, pulls by checkpoint, and answers conflicts as data', async () => {
    const { client } = server
    const { access_token: token } = await client.newAccount()
    const insert = [
      { newDocumentState: { id: 'n1', text: 'one', _deleted: false } },
      { newDocumentState: { id: 'n2', text: 'two', _deleted: false } },
    ]
    const accepted = { status: 200, body: { conflicts: [], rejected: [] } }
    expect(await client.post(`${notes}/push?scope=mine`, insert, token)).toMatchObject(accepted)
    expect(await client.post(`${notes}/push?scope=mine`, insert, token)).toMatchObject(accepted) // a repeated push

    const first = (await client.get(`${notes}/pull?scope=mine&limit=1`, token)).body as { checkpoint: object }
    expect(first).toMatchObject({ documents: [{ id: 'n1', text: 'one', _deleted: false }], checkpoint: { scopes: { mine: 1 } } })
    const checkpoint = encodeURIComponent(JSON.stringify(first.checkpoint))
    expect((await client.get(`${notes}/pull?scope=mine&limit=10&checkpoint=${checkpoint}`, token)).body).toMatchObject({
      documents: [{ id: 'n2' }],
      checkpoint: { scopes: { mine: 2 } },
    })

    const edit = {
      newDocumentState: { id: 'n1', text: 'mine', _deleted: false },
      assumedMasterState: { id: 'n1', text: 'older', _deleted: false },
    }
    expect((await client.post(`${notes}/push`, [edit], token)).body).toEqual({
      conflicts: [{ id: 'n1', text: 'one', _deleted: false }],
      rejected: [],
    })

    const remove = { newDocumentState: { id: 'n1', text: 'one', _deleted: true }, assumedMasterState: insert[0]?.newDocumentState }
    await client.post(`${notes}/push`, [remove], token)
    expect((await client.get(`${notes}/pull`, token)).body).toMatchObject({
      documents: [
        { id: 'n2', _deleted: false },
        { id: 'n1', _deleted: true },
      ],
      checkpoint: { scopes: { mine: 3 } },
    })
  })

  test('rejects single rows and takes the rest', async () => {
    const { access_token: token } = await server.client.newAccount()

    const answer = await server.client.post(
      `${notes}/push`,
      [{ newDocumentState: { id: 'a\0b' } }, { newDocumentState: { id: 'fine' } }],
      token,
    )

    expect(answer.body).toMatchObject({ conflicts: [], rejected: [{ id: 'a\0b', code: 'invalid_id' }] })
    expect((await server.client.get(`${notes}/pull`, token)).body).toMatchObject({ documents: [{ id: 'fine' }] })
  })

  test('users see their own documents only', async () => {
    const ada = await server.client.newAccount()
    const bob = await server.client.newAccount()
    await server.client.post(`${notes}/push`, [{ newDocumentState: { id: 'diary', text: 'of Ada' } }], ada.access_token)
    await server.client.post(`${notes}/push`, [{ newDocumentState: { id: 'diary', text: 'of Bob' } }], bob.access_token)

    expect((await server.client.get(`${notes}/pull`, ada.access_token)).body).toMatchObject({
      documents: [{ id: 'diary', text: 'of Ada' }],
    })
    expect((await server.client.get(`${notes}/pull`, bob.access_token)).body).toMatchObject({
      documents: [{ id: 'diary', text: 'of Bob' }],
    })
  })

  test('a stream says RESYNC at once and after every change', async () => {
    const { access_token: token } = await server.client.newAccount()
    const events = await readEvents(`${server.url}${notes}/stream?scope=mine`, token)
    expect(events.contentType).toBe('text/event-stream')
    expect(await events.next()).toEqual({ event: undefined, data: 'RESYNC' })

    await server.client.post(`${notes}/push`, [{ newDocumentState: { id: 'n1' } }], token)

    expect(await events.next()).toEqual({ event: undefined, data: 'RESYNC' })
    await events.close()
  })

  test.each([
    [
      'its handle',
      async (session: { revoke_handle: string }) => server.client.post('/v1/auth/revoke', { revoke_handle: session.revoke_handle }),
    ],
    [
      'the development route',
      async (session: { user_id: string }) => server.client.post('/v1/dev/revoke-sessions', { user_id: session.user_id }),
    ],
  ])('revoking by %s cuts the stream, the access token and the refresh token', async (_how, revoke) => {
    const { client } = server
    const session = await client.newAccount()
    const events = await readEvents(`${server.url}${notes}/stream`, session.access_token)
    await events.next()

    expect((await revoke(session)).status).toBe(200)

    expect(await events.next()).toEqual({ event: 'end', data: { code: 'session_revoked' } })
    expect(await events.next()).toBeUndefined()
    const refused = await client.get(`${notes}/pull`, session.access_token)
    expect(refused).toMatchObject({ status: 401, body: { code: 'session_revoked' } })
    expect(refused.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
    expect(await client.refresh(session.refresh_token)).toMatchObject({ status: 400, body: { error: 'invalid_grant', code: 'revoked' } })
    expect((await client.post('/v1/auth/revoke', { revoke_handle: session.revoke_handle })).status).toBe(200) // already gone
  })

  test('allows the listed origins and no other, without credentials', async () => {
    const preflight = (origin: string) =>
      fetch(`${server.url}${notes}/push`, {
        method: 'OPTIONS',
        headers: { Origin: origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization' },
      })

    const allowed = await preflight(ORIGIN)
    expect(allowed.headers.get('access-control-allow-origin')).toBe(ORIGIN)
    expect(allowed.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('authorization')
    for (const origin of ['https://evil.example', 'null', `${ORIGIN}.evil.example`]) {
      expect((await preflight(origin)).headers.get('access-control-allow-origin')).toBeNull()
    }
    const refused = await fetch(`${server.url}/v1/auth/profile`, { headers: { Origin: ORIGIN } })
    expect(refused.headers.get('access-control-allow-origin')).toBe(ORIGIN)
    expect(refused.headers.get('access-control-expose-headers')).toBe('Date,Retry-After,WWW-Authenticate')
    expect(refused.headers.get('access-control-allow-credentials')).toBeNull()
  })

  test('answers its health', async () => {
    expect(await server.client.get('/healthz')).toMatchObject({ status: 200, body: { ok: true } })
  })
})
