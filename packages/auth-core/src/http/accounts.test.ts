import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { FileMail, startTestIssuer, startTestServer, type TestIssuer, type TestServer, testEngines } from '@nightlatch/server/testing'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Credentials } from '../credentials.ts'
import type { BackendContext, UserContext } from '../ports.ts'
import { httpBackend } from './http-backend.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })
const PASSWORD = 'correct horse battery'
const refused = (code: string) => ({ outcome: { kind: 'refused', code } })

/** Both sides of the wire, over real HTTP: what one sends the other must take, and the other way round. */
describe.each(testEngines)('the client adapter, on %s', (engine) => {
  let server: TestServer
  let issuer: TestIssuer
  let backend: ReturnType<typeof httpBackend>
  beforeAll(async () => {
    issuer = await startTestIssuer({ audience: 'app' })
    const trust = { issuers: [issuer.url], jwksUri: issuer.jwksUri }
    server = await startTestServer({
      engine,
      accountHooks: {
        logIn: (payload) => ({ subject: String(payload) }),
        functions: { add: (_context, a, b) => Number(a) + Number(b) },
      },
      config: {
        accounts: {
          providers: {
            'email-password': { confirmation: 'mail' },
            function: true,
            jwt: { issuers: [{ issuer: issuer.url, jwksUri: issuer.jwksUri, audience: 'app' }] },
            google: { clientIds: ['app'], ...trust },
            apple: { clientIds: ['app'], ...trust },
            facebook: { appId: 'app', ...trust },
          },
        },
      },
    })
    backend = httpBackend(server.url)
  })
  afterAll(async () => {
    await server.close()
    await issuer.close()
  })

  const context = (): BackendContext => ({ fetch, nowMs: Date.now, idempotencyKey: randomUUID() })
  const as = (accessToken: string): UserContext => ({ ...context(), accessToken })
  async function logIn(credentials: Credentials) {
    const grant = await backend.logIn(credentials, context())
    if ('challenge' in grant) throw new Error('unexpected')
    return grant
  }
  async function mailed(email: string, count = 1) {
    const text = await vi.waitFor(() => {
      const mails = new FileMail(join(server.dataDir, 'mail'), Date.now).list().filter(({ to }) => to === email)
      expect(mails).toHaveLength(count)
      return mails[0]?.text ?? ''
    })
    return { token: /token {5}(\S+)/.exec(text)?.[1] ?? '', tokenId: /token id {2}(\S+)/.exec(text)?.[1] ?? '' }
  }
  async function newAccount() {
    const email = `${randomUUID()}@example.org`
    await backend.emailPassword?.register({ email, password: PASSWORD }, context())
    await backend.emailPassword?.confirm?.(await mailed(email), context())
    return { email, grant: await logIn(Credentials.emailPassword(email, PASSWORD)) }
  }

  test('logs in by every provider; the answer tells who it is, which saves a request', async () => {
    const token = () => issuer.sign({ sub: randomUUID() })
    const { grant } = await newAccount()
    const key = await backend.apiKeys?.create('robot', as(grant.accessToken))
    for (const [provider, credentials] of [
      ['anonymous', Credentials.anonymous()],
      ['jwt', Credentials.jwt(await token())],
      ['google', Credentials.google({ idToken: await token() })],
      ['apple', Credentials.apple(await token())],
      ['facebook', Credentials.facebook(await token())],
      ['function', Credentials.function(randomUUID())],
      ['email-password', Credentials.apiKey(key?.key ?? '')],
    ] as const) {
      const granted = await logIn(credentials)
      expect(granted.identities).toMatchObject([{ provider }])
      expect(granted).toMatchObject({ customData: {}, isNew: provider !== 'email-password' })
    }
  })

  test('sorts refusals as the app is told of them', async () => {
    await expect(logIn(Credentials.emailPassword('nobody@example.org', PASSWORD))).rejects.toMatchObject(refused('invalid-credentials'))
    await expect(logIn(Credentials.apple(await issuer.sign({ exp: 1000 })))).rejects.toMatchObject(refused('provider_token_expired'))
    await expect(logIn(Credentials.google({ authCode: 'x' }))).rejects.toMatchObject(refused('provider_off'))
    const { email, grant } = await newAccount()
    await expect(backend.emailPassword?.register({ email, password: PASSWORD }, context())).rejects.toMatchObject(refused('account-exists'))
    await expect(backend.emailPassword?.register({ email: 'new@example.org', password: 'short' }, context())).rejects.toMatchObject(
      refused('weak-password'),
    )
    const guest = await logIn(Credentials.anonymous())
    await expect(backend.link?.(Credentials.emailPassword(email, PASSWORD), as(guest.accessToken))).rejects.toMatchObject(
      refused('identity-taken'),
    )
    await expect(backend.changePassword?.({ current: 'wrong', next: PASSWORD }, as(grant.accessToken))).rejects.toMatchObject(
      refused('invalid-credentials'),
    )
  })

  test('links, calls functions, keeps keys, lists sessions', async () => {
    const guest = await logIn(Credentials.anonymous())
    const me = () => as(guest.accessToken)
    const linked = await backend.link?.(Credentials.function(randomUUID()), me())
    expect(linked).toMatchObject({ userId: guest.userId, identities: [{ provider: 'anonymous' }, { provider: 'function' }] })
    expect(await backend.callFunction?.('add', [1, 2], me())).toBe(3)
    const { key: _, ...info } = (await backend.apiKeys?.create('robot', me())) ?? { id: '', key: '' }
    await backend.apiKeys?.disable(info.id, me())
    expect(await backend.apiKeys?.fetch(info.id, me())).toEqual({ ...info, enabled: false })
    await backend.apiKeys?.enable(info.id, me())
    expect(await backend.apiKeys?.fetchAll(me())).toEqual([info])
    await backend.apiKeys?.delete(info.id, me())
    expect(await backend.apiKeys?.fetch(info.id, me())).toBeNull()
    expect(await backend.sessions?.list(me())).toMatchObject([{ current: true, deviceId: guest.deviceId }])
    expect(await backend.unlockKey?.get(me())).toHaveLength(32)
    await backend.unlockKey?.forget(me())
    await backend.confirmWipe?.(guest.revokeHandle ?? '', { discarded: 0, erased: undefined }, context())
  })

  test('changes, forgets and resets a password, and deletes the account with a proof', async () => {
    const { email, grant } = await newAccount()
    const changed = await backend.changePassword?.({ current: PASSWORD, next: 'another long password' }, as(grant.accessToken))
    expect(changed?.userId).toBe(grant.userId)
    await backend.emailPassword?.sendResetMail?.(email, context())
    const proof = await mailed(email, 3) // after the confirmation and the news of the change
    await backend.emailPassword?.reset?.({ ...proof, password: PASSWORD }, context())
    const again = await logIn(Credentials.emailPassword(email, PASSWORD))
    await backend.deleteUser?.(Credentials.emailPassword(email, PASSWORD), as(again.accessToken))
    await expect(logIn(Credentials.emailPassword(email, PASSWORD))).rejects.toMatchObject(refused('invalid-credentials'))
  })
})
