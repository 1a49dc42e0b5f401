import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer } from './testing/test-client.ts'
import { startTestServer, type TestServer, testEngines } from './testing/test-server.ts'

describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nightlatch-config-'))
    writeFileSync(join(folder, 'records.json'), JSON.stringify([{ id: 'palmer-001', species: 'Adelie', body_mass_g: null }]))
    const config = {
      collections: {
        observations: { schemaVersion: 2 },
        stationRecords: { schemaVersion: 0, scope: 'public', write: false, seed: './records.json' },
      },
    }
    writeFileSync(join(folder, 'server.json'), JSON.stringify(config))
    server = await startTestServer({ engine, config: join(folder, 'server.json') })
  }, 60_000)
  afterAll(() => server.close())

  const refused = (answer: Answer, status: number, code: string, details: object = {}) =>
    expect({ status: answer.status, body: answer.body }).toEqual({
      status,
      body: { error: expect.any(String) as string, code, ...details },
    })

  test('a wrong password and an unknown user look the same and take as long', async () => {
    const { client } = server
    const { email } = await client.newAccount()
    const attempt = async (address: string) => {
      const startedAt = performance.now()
      const answer = await client.post('/v1/auth/login', { provider: 'email-password', email: address, password: 'not the password' })
      return { answer, tookMs: performance.now() - startedAt }
    }
    await attempt(email) // warm

    const wrong = await attempt(email)
    const unknown = await attempt('nobody@example.org')

    refused(wrong.answer, 401, 'invalid_credentials')
    expect(unknown.answer.body).toEqual(wrong.answer.body)
    expect(unknown.tookMs).toBeGreaterThan(wrong.tookMs / 4)
  })

  test('an address can be registered once, whatever its case, also by two requests at once', async () => {
    const { email } = await server.client.newAccount()
    refused(await server.client.post('/v1/auth/register', { email: email.toUpperCase(), password: 'another password' }), 409, 'email_taken')

    const twice = await Promise.all(
      [1, 2].map(() => server.client.post('/v1/auth/register', { email: 'race@example.org', password: 'a password of many words' })),
    )
    expect(twice.map(({ status }) => status).sort()).toEqual([201, 409])
  })

  test('a short password is refused', async () => {
    refused(await server.client.post('/v1/auth/register', { email: 'weak@example.org', password: '1234567' }), 400, 'weak_password')
  })

  test.each([
    ['no JSON', '{"provider":'],
    ['JSON of another shape', '[]'],
    ['a missing field', '{"provider":"email-password","email":"a@b.c"}'],
    ['a field of another type', '{"provider":"email-password","email":"a@b.c","password":1}'],
    ['an unknown provider', '{"provider":"carrier-pigeon"}'],
    ['a NUL character', '{"provider":"email-password","email":"a\\u0000@b.c","password":"12345678"}'],
    ['half a surrogate pair', '{"provider":"email-password","email":"a@b.c","password":"\\ud800aaaaaaaa"}'],
    ['nothing', ''],
    ['very deep JSON', '['.repeat(500_000)],
  ])('a body that is %s is invalid_request', async (_what, body) => {
    refused(await server.client.post('/v1/auth/login', body), 400, 'invalid_request')
  })

  test('bytes that are not UTF-8 are invalid_request', async () => {
    const response = await fetch(`${server.url}/v1/auth/login`, { method: 'POST', body: new Uint8Array([0x22, 0xff, 0xfe, 0x22]) })
    expect({ status: response.status, body: await response.json() }).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  })

  test('the answer names the field that is wrong, not its value', async () => {
    const { body } = await server.client.post('/v1/auth/refresh', { refresh_token: { secret: 'hunter2' } })
    expect(JSON.stringify(body)).toContain('refresh_token')
    expect(JSON.stringify(body)).not.toContain('hunter2')
  })

  test('a body over 1 MiB is body_too_large, with and without a declared length', async () => {
    const { access_token: token } = await server.client.newAccount()
    const row = { newDocumentState: { id: 'big', text: 'x'.repeat(1_048_576) } }
    refused(await server.client.post('/v1/sync/observations/2/push', [row], token), 413, 'body_too_large')

    const chunks = new ReadableStream({
      start(sink) {
        for (let n = 0; n < 20; n++) sink.enqueue(new Uint8Array(65_536).fill(32))
        sink.close()
      },
    })
    const streamed: RequestInit & { duplex: 'half' } = {
      method: 'POST',
      body: chunks,
      duplex: 'half',
      headers: { Authorization: `Bearer ${token}` },
    }
    const response = await fetch(`${server.url}/v1/sync/observations/2/push`, streamed)
    expect({ status: response.status, body: await response.json() }).toMatchObject({ status: 413, body: { code: 'body_too_large' } })
    expect(await server.client.get('/v1/sync/observations/2/pull', token)).toMatchObject({ body: { documents: [] } })
  })

  test.each(['pull', 'push', 'stream'])(
    'an unknown collection is unknown_collection at %s, an older schema schema_outdated',
    async (verb) => {
      const { access_token: token } = await server.client.newAccount()
      const call = (path: string) => (verb === 'push' ? server.client.post(path, [], token) : server.client.get(path, token))

      refused(await call(`/v1/sync/nope/0/${verb}`), 404, 'unknown_collection')
      refused(await call(`/v1/sync/__proto__/0/${verb}`), 404, 'unknown_collection')
      refused(await call(`/v1/sync/observations/1/${verb}`), 426, 'schema_outdated')
      refused(await call(`/v1/sync/observations/x/${verb}`), 426, 'schema_outdated')
    },
  )

  describe('tokens that are not ours', () => {
    const claims = { sid: crypto.randomUUID(), gen: 0, client_id: 'nightlatch' }

    async function forge(payload: Record<string, unknown>, header: { typ?: string; kid?: string; alg?: string } = {}) {
      const { privateKey, publicKey } = await generateKeyPair('ES256')
      const jwk = await exportJWK(publicKey)
      return new SignJWT({ ...claims, ...payload })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', jwk, ...header })
        .setIssuedAt()
        .setExpirationTime('1h')
        .setJti('1')
        .sign(privateKey)
    }

    test('a foreign key, an embedded key, no signature and an HMAC over the public key are token_invalid', async () => {
      const { access_token } = await server.client.newAccount()
      const [header = '', payload = '', signature = ''] = access_token.split('.')
      const decoded = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
      const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string }
      const jwks = JSON.stringify((await server.client.get('/.well-known/jwks.json')).body)

      const forged = [
        await forge(decoded, { kid }),
        await forge(decoded, {}),
        new UnsecuredJWT(decoded).encode(),
        await new SignJWT(decoded).setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid }).sign(new TextEncoder().encode(jwks)),
        `${header}.${Buffer.from(JSON.stringify({ ...decoded, sub: 'root' })).toString('base64url')}.${signature}`,
        `${header}.${payload}`,
        `${header}.${payload}.${signature}.${signature}.`,
        'x'.repeat(6_000),
      ]
      for (const token of forged) {
        const answer = await server.client.get('/v1/auth/profile', token)
        refused(answer, 401, 'token_invalid')
        expect(answer.headers.get('www-authenticate')).toContain('invalid_token')
      }
    })

    test('no token is token_missing, an expired one token_expired, a refresh token is no access token', async () => {
      const { refresh_token, access_token } = await server.client.newAccount()
      refused(await server.client.get('/v1/auth/profile'), 401, 'token_missing')
      refused(await server.client.get('/v1/auth/profile', refresh_token), 401, 'token_invalid')
      server.pass({ seconds: 901 })
      refused(await server.client.get('/v1/auth/profile', access_token), 401, 'token_expired')
    })
  })

  test('another user’s scope is scope_denied at pull, push and stream', async () => {
    const ada = await server.client.newAccount()
    const bob = await server.client.newAccount()
    await server.client.post('/v1/sync/observations/2/push', [{ newDocumentState: { id: 'secret' } }], ada.access_token)

    for (const scope of [`user:${ada.user_id}`, 'public', 'team:x', '', '../mine', 'mine\0']) {
      const query = `scope=${encodeURIComponent(scope)}`
      refused(await server.client.get(`/v1/sync/observations/2/pull?${query}`, bob.access_token), 403, 'scope_denied', { scopes: [scope] })
      refused(await server.client.get(`/v1/sync/observations/2/pull?scope=mine&${query}`, bob.access_token), 403, 'scope_denied', {
        scopes: [scope],
      })
      refused(await server.client.get(`/v1/sync/observations/2/stream?${query}`, bob.access_token), 403, 'scope_denied', {
        scopes: [scope],
      })
      refused(
        await server.client.post(`/v1/sync/observations/2/push?${query}`, [{ newDocumentState: { id: 'x' } }], bob.access_token),
        403,
        'scope_denied',
        { scopes: [scope] },
      )
    }
    expect((await server.client.get('/v1/sync/observations/2/pull', ada.access_token)).body).toMatchObject({
      documents: [{ id: 'secret' }],
    })
  })

  test('a read-only collection is read and not written', async () => {
    const { access_token: token } = await server.client.newAccount()
    const before = await server.client.get('/v1/sync/stationRecords/0/pull?scope=public', token)
    expect(before.body).toMatchObject({ documents: [{ id: 'palmer-001', species: 'Adelie', body_mass_g: null, _deleted: false }] })

    refused(
      await server.client.post('/v1/sync/stationRecords/0/push?scope=public', [{ newDocumentState: { id: 'x' } }], token),
      403,
      'read_only',
    )

    expect((await server.client.get('/v1/sync/stationRecords/0/pull?scope=public', token)).body).toEqual(before.body)
  })

  test.each([
    ['checkpoint={', 400, 'invalid_request'],
    ['checkpoint=[1]', 400, 'invalid_request'],
    ['checkpoint={"incarnation":"x","scopes":{"mine":-1}}', 400, 'invalid_request'],
    ['checkpoint={"incarnation":"x","scopes":{"mine":1e999}}', 400, 'invalid_request'],
    ['checkpoint={"incarnation":"x","scopes":{"mine":0}}', 410, 'server_restored'],
    ['limit=0', 400, 'invalid_request'],
    ['limit=-1', 400, 'invalid_request'],
    ['limit=1;drop', 400, 'invalid_request'],
  ])('pull?%s is %i %s', async (query, status, code) => {
    const { access_token: token } = await server.client.newAccount()
    refused(await server.client.get(`/v1/sync/observations/2/pull?${query}`, token), status, code)
  })

  test('a checkpoint ahead of its counter is server_restored', async () => {
    const { access_token: token } = await server.client.newAccount()
    const { checkpoint } = (await server.client.get('/v1/sync/observations/2/pull', token)).body as { checkpoint: { incarnation: string } }
    const ahead = encodeURIComponent(JSON.stringify({ incarnation: checkpoint.incarnation, scopes: { mine: 1 } }))
    refused(await server.client.get(`/v1/sync/observations/2/pull?checkpoint=${ahead}`, token), 410, 'server_restored')
  })

  test('a handle that this server did not make is invalid_handle and ends nothing', async () => {
    const { revoke_handle, refresh_token } = await server.client.newAccount()
    const forged = `${revoke_handle.slice(0, -2)}xx`
    refused(await server.client.post('/v1/auth/revoke', { revoke_handle: forged }), 400, 'invalid_handle')
    refused(await server.client.post('/v1/auth/revoke', { revoke_handle: refresh_token }), 400, 'invalid_handle')
    expect((await server.client.refresh(refresh_token)).status).toBe(200)
  })

  test('unknown paths, other methods and the switched-off development route are JSON refusals', async () => {
    refused(await server.client.get('/v1/nothing'), 404, 'not_found')
    refused(await server.client.post('/v1/dev/revoke-sessions', { user_id: 'x' }), 404, 'not_found')
    const answer = await server.client.get('/v1/auth/login')
    refused(answer, 405, 'method_not_allowed')
    expect(answer.headers.get('allow')).toBe('POST')
  })
})
