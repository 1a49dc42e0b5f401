import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from './testing/temporary-postgres.ts'
import { startTestServer, type TestServer, testEngines } from './testing/test-server.ts'

const insecure = { [oauth.allowInsecureRequests]: true }
const client: oauth.Client = { client_id: 'any' }

describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer
  let discovered: oauth.AuthorizationServer

  beforeAll(async () => {
    const port = await freePort()
    const issuer = new URL(`http://127.0.0.1:${port}`)
    server = await startTestServer({ engine, port, issuer: issuer.href })
    discovered = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }))
  }, 60_000)
  afterAll(() => server.close())

  const refresh = async (token: string) =>
    oauth.processRefreshTokenResponse(
      discovered,
      client,
      await oauth.refreshTokenGrantRequest(discovered, client, oauth.None(), token, insecure),
    )

  test('a generic client finds the endpoints, refreshes, and its access tokens pass RFC 9068 validation', async () => {
    const { refresh_token, user_id } = await server.client.newAccount()

    const { access_token, refresh_token: next, expires_in } = await refresh(refresh_token)

    expect(expires_in).toBe(900)
    expect(next).toMatch(/^v1\./)
    const request = new Request(server.url, { headers: { Authorization: `Bearer ${access_token}` } })
    const claims = await oauth.validateJwtAccessToken(discovered, request, discovered.issuer, insecure)
    expect(claims).toMatchObject({ sub: user_id, iss: discovered.issuer })
  })

  test('a generic client may lose an answer, and learns by invalid_grant that a session is over', async () => {
    const { refresh_token } = await server.client.newAccount()
    const lost = await refresh(refresh_token)
    server.pass({ days: 3 })
    expect((await refresh(refresh_token)).refresh_token).toBe(lost.refresh_token)

    server.pass({ days: 100 })
    await expect(refresh(refresh_token)).rejects.toMatchObject({ status: 400, error: 'invalid_grant' })
  })

  test.each(['the current refresh token', 'an older refresh token', 'the access token'])('RFC 7009: %s ends the session', async (which) => {
    const first = await server.client.newAccount()
    const second = await refresh(first.refresh_token)
    const current = String(second.refresh_token)
    const token = { 'the current refresh token': current, 'an older refresh token': first.refresh_token }[which] ?? second.access_token

    await oauth.processRevocationResponse(await oauth.revocationRequest(discovered, client, oauth.None(), token, insecure))

    expect(await server.client.refresh(current)).toMatchObject({ status: 400, body: { code: 'revoked' } })
  })

  test('RFC 7009: a token that means nothing here is 200 and changes nothing', async () => {
    const { refresh_token } = await server.client.newAccount()
    const forged = `${refresh_token.slice(0, -2)}xx`
    for (const token of [forged, 'nonsense', '']) {
      await oauth.processRevocationResponse(await oauth.revocationRequest(discovered, client, oauth.None(), token || 'x', insecure))
    }
    expect((await server.client.refresh(refresh_token)).status).toBe(200)
  })

  test('refusals are in OAuth’s shape', async () => {
    const post = async (body: string) => {
      const response = await fetch(`${server.url}/oauth/token`, {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      })
      return { status: response.status, body: await response.json() }
    }
    expect(await post('grant_type=password&username=x')).toMatchObject({ status: 400, body: { error: 'unsupported_grant_type' } })
    expect(await post('grant_type=refresh_token')).toMatchObject({ status: 400, body: { error: 'invalid_request' } })
    expect(await post('')).toMatchObject({ status: 400, body: { error: 'invalid_request' } })
  })

  test('the JWKS names the signing key and its successor, which signs after 90 days while the old one still verifies', async () => {
    const kidOf = (token: string) => (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid
    const published = async () => ((await server.client.get('/.well-known/jwks.json')).body as { keys: { kid: string; d?: string }[] }).keys
    const before = await published()
    expect(before).toHaveLength(2)
    expect(before.every((key) => key.d === undefined)).toBe(true)
    const { access_token } = await server.client.newAccount()

    server.pass({ days: 91 })

    const { access_token: later } = await server.client.newAccount()
    expect(kidOf(later)).not.toBe(kidOf(access_token))
    expect(before.map(({ kid }) => kid)).toContain(kidOf(later))
    expect((await server.client.get('/v1/auth/profile', later)).status).toBe(200)
  })

  test('SV-7: sessions are listed and ended one by one or all but this one', async () => {
    const here = await server.client.newAccount()
    const phone = await server.client.logIn(here.email, here.password)
    const tablet = await server.client.logIn(here.email, here.password)
    const stranger = await server.client.newAccount()
    const list = async () =>
      ((await server.client.get('/v1/auth/sessions', here.access_token)).body as { sessions: { id: string; current: boolean }[] }).sessions
    expect(await list()).toMatchObject([
      { id: here.session_id, current: true },
      { id: phone.session_id, current: false },
      { id: tablet.session_id },
    ])
    const end = (id: string, token: string) =>
      fetch(`${server.url}/v1/auth/sessions/${id}`, { method: 'DELETE', headers: { Authorization: `Bearer ${token}` } })

    expect((await end(phone.session_id, stranger.access_token)).status).toBe(404)
    expect((await end(phone.session_id, here.access_token)).status).toBe(200)
    expect(await server.client.refresh(phone.refresh_token)).toMatchObject({ body: { code: 'revoked' } })
    expect(await list()).toHaveLength(2)

    expect((await server.client.post('/v1/auth/sessions/revoke-others', {}, here.access_token)).body).toEqual({ revoked: 1 })
    expect(await server.client.refresh(tablet.refresh_token)).toMatchObject({ body: { code: 'revoked' } })
    expect((await server.client.refresh(here.refresh_token)).status).toBe(200)
  })
})
