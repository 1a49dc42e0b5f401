import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Account, TestClient } from '../testing/test-client.ts'
import { startTestIssuer, type TestIssuer } from '../testing/test-issuer.ts'
import { startTestServer, type TestServer, testEngines } from '../testing/test-server.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })
const AUDIENCE = 'app-1'
const PICTURE = 'https://graph.example/picture?access_token=canary-9f2c'
const refusal = (status: number, code: string) => ({ status, body: { code } })
const refusedToken = refusal(400, 'provider_token_refused')

let issuer: TestIssuer
let other: TestIssuer
/** Signs, and serves no keys. */
let away: TestIssuer
beforeAll(async () => {
  issuer = await startTestIssuer({ audience: AUDIENCE })
  other = await startTestIssuer({ audience: AUDIENCE })
  away = await startTestIssuer({ audience: AUDIENCE })
  await away.close()
})
afterAll(async () => {
  await issuer.close()
  await other.close()
})

/** Where the token goes in each provider's credentials. */
const byToken = {
  jwt: (token: string) => ({ provider: 'jwt', token }),
  google: (token: string) => ({ provider: 'google', id_token: token }),
  apple: (token: string) => ({ provider: 'apple', id_token: token }),
  facebook: (token: string) => ({ provider: 'facebook', access_token: token }),
} as const
const tokenProviders = ['jwt', 'google', 'apple', 'facebook'] as const

const providers = () => ({
  jwt: {
    issuers: [
      { issuer: away.url, jwksUri: away.jwksUri, audience: AUDIENCE },
      {
        name: 'test',
        issuer: issuer.url,
        jwksUri: issuer.jwksUri,
        audience: AUDIENCE,
        algorithms: ['RS256' as const],
        fields: [
          { claim: 'email', as: 'email' },
          { claim: 'user.rank', as: 'rank' },
          { claim: 'staff', as: 'staff', required: true },
        ],
      },
    ],
  },
  google: {
    clientIds: [AUDIENCE],
    clientSecret: 'g-secret',
    issuers: [issuer.url],
    jwksUri: issuer.jwksUri,
    tokenUrl: `${issuer.url}/token`,
  },
  apple: { clientIds: [AUDIENCE], issuers: [issuer.url], jwksUri: issuer.jwksUri },
  facebook: {
    appId: AUDIENCE,
    appSecret: 'f-secret',
    issuers: [issuer.url],
    jwksUri: issuer.jwksUri,
    graphUrl: `${issuer.url}/graph`,
    fields: ['name', 'email', 'gender', 'min_age', 'picture_url'],
  },
  function: true,
})

const accountHooks = {
  logIn(payload: unknown) {
    const { badge } = payload as { badge?: unknown }
    if (badge === 'broken') throw new Error('the badge reader is on fire')
    return typeof badge === 'string' ? { subject: badge, profile: { name: `Badge ${badge}`, shoe_size: 44 } } : null
  },
}

describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer
  let off: TestServer
  let client: TestClient
  beforeAll(async () => {
    server = await startTestServer({ engine, config: { accounts: { providers: providers(), jwksCooldownS: 0 } }, accountHooks })
    client = server.client
    off =
      engine === 'pglite'
        ? await startTestServer({ config: { accounts: { providers: { anonymous: false, 'email-password': false, 'api-key': false } } } })
        : server
  })
  afterAll(async () => {
    await server.close()
    if (off !== server) await off.close()
  })
  const logIn = (credentials: object, at = client) => at.post('/v1/auth/login', credentials)
  const filesHold = (canary: string) =>
    readdirSync(server.dataDir, { recursive: true, withFileTypes: true }).some(
      (file) => file.isFile() && readFileSync(join(file.parentPath, file.name)).includes(canary),
    )
  const claims = (sub: string = randomUUID()) => ({ sub, staff: true })

  describe.each(tokenProviders)('%s', (provider) => {
    const wire = byToken[provider]

    test('a good token makes the account at first, and finds it ever after', async () => {
      const token = await issuer.sign({
        ...claims(),
        email: 'ada@example.org',
        picture: provider === 'facebook' ? PICTURE : 'https://example.org/ada.png',
      })
      const first = await logIn(wire(token))
      expect(first).toMatchObject({
        status: 200,
        body: { is_new: true, identities: [{ provider }], profile: { email: 'ada@example.org' }, custom_data: {} },
      })
      const again = await logIn(wire(token))
      expect(again).toMatchObject({ status: 200, body: { is_new: false, user_id: (first.body as Account).user_id } })
    })

    test.each([
      ['expired', () => issuer.sign({ ...claims(), exp: 1000 }), refusal(400, 'provider_token_expired')],
      ['JV-3: of another audience', () => issuer.sign({ ...claims(), aud: 'app-2' }), refusedToken],
      ['JV-3: of another issuer', () => other.sign(claims()), refusedToken],
      ['of another issuer that calls itself ours', () => other.sign({ ...claims(), iss: issuer.url }, { kid: 'key-1' }), refusedToken],
      ['JV-1: signed with a wrong key', () => issuer.signWithWrongKey(claims()), refusedToken],
      ['JV-1: alg none', async () => issuer.unsigned(claims()), refusedToken],
      ['JV-1: HS256 with the public key as secret', () => issuer.signWithPublicKeyAsSecret(claims()), refusedToken],
      ['JV-1: with a critical header that nobody lists', () => issuer.sign(claims(), { crit: ['x-new'], 'x-new': 1 }), refusedToken],
      [
        'JV-2: that brings its own key',
        async () => other.sign({ ...claims(), iss: issuer.url }, { jku: other.jwksUri, kid: 'key-1' }),
        refusedToken,
      ],
      ['JV-4: that is an access token', () => issuer.sign(claims(), { typ: 'at+jwt' }), refusedToken],
      ['JV-6: that is not valid yet', () => issuer.sign({ ...claims(), nbf: Math.floor(Date.now() / 1000) + 120 }), refusedToken],
      ['without a subject', () => issuer.sign({ ...claims(), sub: undefined }), refusal(400, 'claim_missing')],
      ['without an end', () => issuer.sign({ ...claims(), exp: undefined }), refusal(400, 'claim_missing')],
      [
        'of a wrong shape',
        async () => 'only.two',
        provider === 'facebook' ? refusal(401, 'invalid_credentials') : refusal(400, 'provider_token_malformed'),
      ],
      ['JV-5: that is huge', async () => `a.${'b'.repeat(20_000)}.c`, refusal(400, 'invalid_request')],
    ])('refuses a token %s', async (_what, make, expected) => {
      expect(await logIn(wire(await make()))).toMatchObject(expected)
    })

    test('refuses a disabled user until enabled', async () => {
      const token = await issuer.sign(claims())
      const { user_id } = (await logIn(wire(token))).body as Account
      await server.admin.disableUser(user_id)
      expect(await logIn(wire(token))).toMatchObject(refusal(403, 'user_disabled'))
      await server.admin.enableUser(user_id)
      expect((await logIn(wire(token))).status).toBe(200)
    })

    test('follows a rotation of the issuer’s keys, and lets the old key go', async () => {
      const old = await issuer.sign(claims())
      await issuer.rotate()
      expect((await logIn(wire(await issuer.sign(claims())))).status).toBe(200)
      expect(await logIn(wire(old))).toMatchObject(refusedToken)
    })
  })

  test
    .skipIf(engine !== 'pglite')
    .each([
      { provider: 'jwt', token: 'a.b.c' },
      { provider: 'google', id_token: 'a.b.c' },
      { provider: 'google', auth_code: 'code' },
      { provider: 'apple', id_token: 'a.b.c' },
      { provider: 'facebook', access_token: 'opaque' },
      { provider: 'function', payload: {} },
      { provider: 'anonymous' },
      { provider: 'email-password', email: 'a@example.org', password: 'p' },
      { provider: 'api-key', key: 'nlk_x' },
    ])('$provider is refused while it is switched off', async (credentials) => {
    expect(await logIn(credentials, new TestClient(off.url))).toMatchObject(refusal(403, 'provider_off'))
  })

  test('jwt: maps claims, nested ones too, and insists on the required ones', async () => {
    const good = await logIn(byToken.jwt(await issuer.sign({ ...claims(), staff: 'yes', user: { rank: 3 }, secret: 'not mapped' })))
    expect(good).toMatchObject({ body: { profile: { rank: 3, staff: 'yes' } } })
    expect((good.body as { profile: object }).profile).not.toHaveProperty('secret')
    expect(await logIn(byToken.jwt(await issuer.sign({ sub: 'x' })))).toMatchObject(refusal(400, 'claim_missing'))
  })

  test('google: exchanges an authorization code, with its secret in the body only', async () => {
    issuer.answers.set('/token', { body: { id_token: await issuer.sign(claims()) } })
    expect(await logIn({ provider: 'google', auth_code: 'code-1' })).toMatchObject({ status: 200 })
    const asked = issuer.requests.at(-1)
    expect(Object.fromEntries(new URLSearchParams(asked?.body))).toMatchObject({
      grant_type: 'authorization_code',
      code: 'code-1',
      client_secret: 'g-secret',
    })
    expect(asked?.path).toBe('/token')

    issuer.answers.set('/token', { status: 400, body: { error: 'invalid_grant' } })
    expect(await logIn({ provider: 'google', auth_code: 'code-1' })).toMatchObject(refusal(401, 'invalid_credentials'))
    issuer.answers.set('/token', { status: 502, body: {} })
    expect(await logIn({ provider: 'google', auth_code: 'code-1' })).toMatchObject(refusal(503, 'busy'))
    expect(await logIn({ provider: 'google' })).toMatchObject(refusal(400, 'invalid_request'))
  })

  test('facebook: asks about classic access tokens, and takes no other app’s', async () => {
    const person = {
      id: 'fb-1',
      name: 'Ada',
      gender: 'female',
      age_range: { min: 21 },
      picture: { data: { url: PICTURE } },
      picture_url: PICTURE,
    }
    const inspected = (facts: object) =>
      issuer.answers.set('/graph/debug_token', {
        body: { data: { is_valid: true, app_id: AUDIENCE, user_id: 'fb-1', expires_at: 0, ...facts } },
      })
    issuer.answers.set('/graph/me', { body: person })
    inspected({})
    const good = await logIn({ provider: 'facebook', access_token: 'opaque-token' })
    expect(good).toMatchObject({ status: 200, body: { profile: { name: 'Ada', gender: 'female', min_age: 21 } } })
    expect(issuer.requests.at(-1)?.authorization).toBe('Bearer opaque-token')

    inspected({ app_id: 'app-2' })
    expect(await logIn({ provider: 'facebook', access_token: 'opaque-token' })).toMatchObject(refusedToken)
    inspected({ is_valid: false })
    expect(await logIn({ provider: 'facebook', access_token: 'opaque-token' })).toMatchObject(refusal(401, 'invalid_credentials'))
    inspected({ is_valid: false, expires_at: 1000 })
    expect(await logIn({ provider: 'facebook', access_token: 'opaque-token' })).toMatchObject(refusal(400, 'provider_token_expired'))
    inspected({ user_id: 'fb-2' })
    expect(await logIn({ provider: 'facebook', access_token: 'opaque-token' })).toMatchObject(refusal(401, 'invalid_credentials'))
  })

  test.skipIf(engine !== 'pglite')('S13: the address of a Facebook picture, which holds a token, is stored nowhere', async () => {
    await logIn(byToken.facebook(await issuer.sign({ ...claims(), name: 'Ada', picture: PICTURE, email: 'a@example.org' })))
    expect(filesHold('canary-9f2c')).toBe(false)
    await logIn(byToken.google(await issuer.sign({ ...claims(), picture: PICTURE }))) // the check can fail
    expect(filesHold('canary-9f2c')).toBe(true)
  })

  test('function: the app’s own code decides who it is', async () => {
    const first = await logIn({ provider: 'function', payload: { badge: '7' } })
    expect(first).toMatchObject({ status: 200, body: { is_new: true, profile: { name: 'Badge 7' } } })
    expect((first.body as { profile: object }).profile).not.toHaveProperty('shoe_size')
    expect(await logIn({ provider: 'function', payload: { badge: '7' } })).toMatchObject({
      body: { is_new: false, user_id: (first.body as Account).user_id },
    })
    expect(await logIn({ provider: 'function', payload: {} })).toMatchObject(refusal(401, 'invalid_credentials'))
    expect(await logIn({ provider: 'function', payload: { badge: 'broken' } })).toMatchObject(refusal(422, 'function_failed'))
    await server.admin.disableUser((first.body as Account).user_id)
    expect(await logIn({ provider: 'function', payload: { badge: '7' } })).toMatchObject(refusal(403, 'user_disabled'))
  })

  test('fifty first log-ins of one person at once make one account', async () => {
    const token = await issuer.sign(claims())
    const answers = await Promise.all(Array.from({ length: 50 }, () => logIn(byToken.apple(token))))
    expect(new Set(answers.map(({ body }) => (body as Account).user_id)).size).toBe(1)
    expect(answers.filter(({ body }) => (body as Account).is_new)).toHaveLength(1)
  })

  test('an issuer that cannot be reached is busy, not a refusal', async () => {
    expect(await logIn(byToken.jwt(await away.sign(claims())))).toMatchObject(refusal(503, 'busy'))
  })
})
