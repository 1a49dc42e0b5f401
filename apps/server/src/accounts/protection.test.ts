import { randomBytes, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { IdTokens } from '../providers/id-tokens.ts'

import { startTestIssuer } from '../testing/test-issuer.ts'
import { startTestServer, type TestServer, testEngines } from '../testing/test-server.ts'
import { AccessTokens } from '../tokens/access-token.ts'
import { parseRefreshToken, readRevokeHandle } from '../tokens/refresh-token.ts'
import { ServerKey, ServerKeys } from '../tokens/server-keys.ts'
import type { SigningKeys } from '../tokens/signing-keys.ts'
import { delayMs } from './attempts.ts'
import { network } from './guess-limits.ts'
import { isGuessable } from './password-rules.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })
const PASSWORD = 'correct horse battery'
const refusal = (status: number, code: string) => ({ status, body: { code } })

describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer({
      engine,
      passwordCost: { memoryCost: 64, timeCost: 1 },
      proxyHops: 1,
      config: { accounts: { throttle: { accountFree: 3, addressFree: 8 } } },
      accountHooks: {
        isBreached: (password) => {
          if (password.startsWith('the leak service')) throw new Error('away')
          return password.startsWith('leaked')
        },
      },
    })
  })
  afterAll(() => server.close())

  const newAddress = () => `10.${randomBytes(3).join('.')}`
  const logIn = (email: string, password: string, { address = newAddress(), device_id }: { address?: string; device_id?: string } = {}) =>
    server.client.post('/v1/auth/login', { provider: 'email-password', email, password, ...(device_id ? { device_id } : {}) }, undefined, {
      'X-Forwarded-For': address,
    })

  test('PW-2, PW-5: after some wrong passwords one waits, longer each time, whether there is an account or not', async () => {
    const ada = await server.client.newAccount()
    const disabled = await server.client.newAccount()
    await server.admin.disableUser(disabled.user_id)
    type Seen = readonly [status: number, body: unknown, retryAfter: string | null]
    const seen: Seen[][] = []
    for (const email of [ada.email, `${randomUUID()}@example.org`, disabled.email]) {
      const answers: Seen[] = []
      const guess = async () => {
        const { status, body, headers } = await logIn(email, 'wrong wrong wrong')
        answers.push([status, body, headers.get('retry-after')])
      }
      for (let n = 0; n < 5; n++) await guess() // three free ones, one that starts the wait, one that has to wait
      server.pass({ seconds: 31 })
      await guess() // wrong again: now a minute
      await guess()
      seen.push(answers)
    }
    const statuses = (answers: readonly Seen[] | undefined) => answers?.map(([status]) => status)
    expect(statuses(seen[0])).toEqual([401, 401, 401, 401, 429, 401, 429])
    expect(seen[0]?.[4]?.[2]).toMatch(/^(29|30)$/)
    expect(seen[0]?.[6]?.[2]).toMatch(/^(59|60)$/)
    expect(statuses(seen[1])).toEqual(statuses(seen[0]))
    expect(statuses(seen[2])).toEqual(statuses(seen[0]))
    expect(seen[1]?.[0]).toEqual(seen[0]?.[0])
    expect(seen[2]?.[0]).toEqual(seen[0]?.[0])

    server.pass({ seconds: 61 })
    expect((await logIn(ada.email, 'wrong wrong wrong')).status).toBe(401)
    expect(await logIn(ada.email, ada.password)).toMatchObject(refusal(429, 'throttled')) // also with the right password
    server.pass({ seconds: 121 })
    expect((await logIn(ada.email, ada.password)).status).toBe(200)
    expect((await logIn(ada.email, 'wrong wrong wrong')).status).toBe(401) // a success begins anew
  })

  test('PW-2: strangers who try an account’s passwords do not keep its owner’s device out', async () => {
    const ada = await server.client.newAccount()
    for (let n = 0; n < 5; n++) await logIn(ada.email, 'wrong wrong wrong')
    expect((await logIn(ada.email, ada.password)).status).toBe(429)
    expect((await logIn(ada.email, ada.password, { device_id: ada.device_id })).status).toBe(200)
    expect((await logIn(ada.email, ada.password, { device_id: randomUUID() })).status).toBe(429)
  })

  test('guessing at many accounts from one address is slowed down, too; right log-ins are not counted', async () => {
    const address = newAddress()
    const ada = await server.client.newAccount()
    for (let n = 0; n < 12; n++) expect((await logIn(ada.email, ada.password, { address })).status).toBe(200)
    const statuses: number[] = []
    for (let n = 0; n < 11; n++) statuses.push((await logIn(`${randomUUID()}@example.org`, 'wrong wrong wrong', { address })).status)
    expect(statuses).toEqual([...Array<number>(9).fill(401), 429, 429])
    expect((await logIn(ada.email, ada.password)).status).toBe(200) // from elsewhere
  })

  test('fifty guesses at once get no more than one after the other', async () => {
    const ada = await server.client.newAccount()
    const answers = await Promise.all(Array.from({ length: 50 }, () => logIn(ada.email, 'wrong wrong wrong')))
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(4)
  })

  test('a link, a deletion and a change of password are no way around it', async () => {
    const ada = await server.client.newAccount()
    const guess = () =>
      server.client.post('/v1/auth/password', { current_password: 'wrong wrong wrong', new_password: PASSWORD }, ada.access_token)
    for (let n = 0; n < 4; n++) expect((await guess()).status).toBe(401)
    expect(await guess()).toMatchObject(refusal(429, 'throttled'))
  })

  test('PW-4: a hook may know more public passwords; if it fails, registering goes on', async () => {
    const register = (password: string) => server.client.post('/v1/auth/register', { email: `${randomUUID()}@example.org`, password })
    expect(await register('leaked by somebody else')).toMatchObject(refusal(400, 'weak_password'))
    expect((await register('the leak service is away')).status).toBe(201)
  })
})

test('PW-5: unknown user, wrong password, disabled and locked account take as long', async () => {
  const server = await startTestServer({ config: { accounts: { throttle: { accountFree: 50, addressFree: 100_000 } } } })
  const [wrong, disabled, locked] = [await server.client.newAccount(), await server.client.newAccount(), await server.client.newAccount()]
  await server.admin.disableUser(disabled.user_id)
  const logIn = (email: string) =>
    server.client.post('/v1/auth/login', { provider: 'email-password', email, password: 'wrong wrong wrong' })
  for (let n = 0; n < 51; n++) await logIn(locked.email)
  const groups = [
    { email: () => `${randomUUID()}@example.org`, status: 401, ms: [] as number[] },
    { email: () => wrong.email, status: 401, ms: [] as number[] },
    { email: () => disabled.email, status: 401, ms: [] as number[] },
    { email: () => locked.email, status: 429, ms: [] as number[] },
  ]
  for (let n = 0; n < 30; n++) {
    for (const { email, status, ms } of groups) {
      const startedAt = performance.now()
      expect((await logIn(email())).status).toBe(status)
      ms.push(performance.now() - startedAt)
    }
  }
  await server.close()
  // The fraction of pairs in which one group is faster: one half, were they the same. Generous, because others use this machine.
  const faster = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, x) => sum + b.filter((y) => x < y).length, 0) / (a.length * b.length)
  for (const a of groups) {
    for (const b of groups) {
      if (a === b) continue
      expect(faster(a.ms, b.ms)).toBeGreaterThan(0.2)
      expect(faster(a.ms, b.ms)).toBeLessThan(0.8)
    }
  }
})

test('100,000 forged and mangled tokens: none is accepted, none crashes', async () => {
  const server = await startTestServer()
  const { access_token, refresh_token, revoke_handle } = await server.client.newAccount()
  const issuer = await startTestIssuer({ audience: 'app' })
  const signing = await signingKeysOf(server.url)
  const iss = String((JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString()) as { iss: string }).iss)
  const access = new AccessTokens(iss, signing, Date.now)
  await expect(access.verify(access_token)).resolves.toBeDefined() // the check can fail
  const foreign = new IdTokens(
    { issuers: [issuer.url], audience: ['app'], algorithms: ['RS256'], jwksUri: issuer.jwksUri },
    { nowMs: Date.now, jwksCooldownS: 30 },
  )
  const idToken = await issuer.sign()
  await foreign.verify(idToken)
  const keys = new ServerKeys([new ServerKey('k1', randomBytes(32))])

  let seed = 20_261_121
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  const letters = 'ABCDEFabcdef0189-_.=%\0é'
  const mangled = (token: string) => {
    const at = random(token.length)
    const letter = letters[random(letters.length)] ?? 'x'
    switch (random(6)) {
      case 0:
        return token.slice(0, at)
      case 1:
        return token.slice(0, at) + token.slice(at + 1)
      case 2:
        return token.slice(0, at) + letter + token.slice(at)
      case 3:
        return token.slice(at) + token.slice(0, at)
      case 4:
        return token.split('.').reverse().join('.')
      default:
        return token.slice(0, at) + letter + token.slice(at + 1)
    }
  }
  const forged = await forgeries(access_token, iss)
  let accepted = 0
  let refused = 0
  const accessRefused = async (token: string) => {
    if (sameBytes(token, access_token)) return
    await access.verify(token).then(
      () => accepted++,
      (error: unknown) => {
        expect((error as Error).name).toBe('ApiError')
        refused++
      },
    )
  }
  const startedAt = performance.now()
  for (const token of forged) await accessRefused(token)
  for (let n = 0; n < 12_000; n++) await accessRefused(mangled(access_token))
  for (let n = 0; n < 8000; n++) {
    const token = mangled(idToken)
    if (sameBytes(token, idToken)) continue
    await foreign.verify(token).then(
      () => accepted++,
      (error: unknown) => {
        expect((error as Error).name).toBe('ApiError')
        refused++
      },
    )
  }
  const opaque = [refresh_token, revoke_handle] as const
  for (let n = 0; n < 80_000; n++) {
    const token = mangled(opaque[n % 2] ?? '')
    // Another server's keys: whatever still parses is a forgery.
    const parsed = parseRefreshToken(token)
    if (readRevokeHandle(keys, token) !== null || (parsed && keys.find(parsed.kid)?.matches(token, parsed.mac))) accepted++
    else refused++
  }
  const tookMs = performance.now() - startedAt

  expect(accepted).toBe(0)
  expect(refused).toBeGreaterThan(99_000)
  expect(tookMs).toBeLessThan(30_000)

  // A sample of each kind over HTTP, and the server is as well as before.
  for (let n = 0; n < 60; n++) {
    const token = mangled(access_token).replace(/[^\x20-\x7e]/g, 'x')
    if (!sameBytes(token, access_token)) expect((await server.client.get('/v1/auth/profile', token)).status).toBe(401)
    const refresh = mangled(refresh_token)
    if (refresh !== refresh_token) expect((await server.client.refresh(refresh)).status).toBe(400)
    const key = await server.client.post('/v1/auth/login', { provider: 'api-key', key: mangled(`nlk_${'0'.repeat(32)}_${'A'.repeat(43)}`) })
    expect([400, 401, 429]).toContain(key.status)
  }
  expect((await server.client.get('/v1/auth/profile', access_token)).status).toBe(200)
  await issuer.close()
  await server.close()
})

test('delays double to an hour, and to a day after a hundred failures in a row', () => {
  const policy = { free: 5, firstDelayMs: 30_000, longestDelayMs: 3_600_000, forgetAfterMs: 1 }
  expect([1, 5, 6, 7, 8, 12, 13, 99, 100, 5000].map((failures) => delayMs(failures, policy) / 1000)).toEqual([
    0, 0, 30, 60, 120, 1920, 3600, 3600, 86_400, 86_400,
  ])
})

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
  ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
  [undefined, 'nobody'],
])('%s is counted as %s', (address, counted) => {
  expect(network(address)).toBe(counted)
})

test.each([
  ['PASSWORD', true],
  ['iloveyouiloveyou', true],
  ['ada.lovelace@example.org', true],
  ['ada.lovelaceada.lovelace', true],
  ['my cat sleeps on the desk', false],
])('%s is guessable: %s', (password, expected) => {
  expect(isGuessable(password, 'ada.lovelace@example.org')).toBe(expected)
})

/** base64url has spare bits at its end: two spellings may be the same bytes, which is no forgery. */
function sameBytes(a: string, b: string): boolean {
  const bytes = (token: string) =>
    token
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString('hex'))
      .join('.')
  return bytes(a) === bytes(b)
}

async function signingKeysOf(url: string): Promise<SigningKeys> {
  const { keys } = (await (await fetch(`${url}/.well-known/jwks.json`)).json()) as { keys: readonly JsonWebKeyWithKid[] }
  const imported = await Promise.all(
    keys.map(async (jwk) => ({
      kid: jwk.kid,
      publicKey: await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify']),
    })),
  )
  return { find: async (kid: string | undefined) => imported.find((key) => key.kid === kid) } as unknown as SigningKeys
}

type JsonWebKeyWithKid = JsonWebKey & { readonly kid: string }

async function forgeries(genuine: string, iss: string): Promise<readonly string[]> {
  const claims = JSON.parse(Buffer.from(genuine.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
  const header = JSON.parse(Buffer.from(genuine.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }
  const segment = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const stranger = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: header.kid }).sign(privateKey)
  const [, , signature = ''] = genuine.split('.')
  return [
    stranger,
    `${segment({ ...header, alg: 'none' })}.${segment(claims)}.`,
    `${segment({ ...header, alg: 'HS256' })}.${segment(claims)}.${signature}`,
    `${segment(header)}.${segment({ ...claims, sub: 'somebody-else', iss })}.${signature}`,
    `${segment({ ...header, kid: `../../${header.kid}' or 1=1` })}.${segment(claims)}.${signature}`,
    `${segment({ ...header, crit: ['b64'], b64: false })}.${segment(claims)}.${signature}`,
    `${segment({ ...header, zip: 'DEF' })}.${segment(claims)}.${signature}`,
    `${segment({ alg: 'dir', enc: 'A256GCM' })}....`,
    'x'.repeat(100_000),
    '..',
    '',
  ]
}
