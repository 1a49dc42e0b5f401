import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { readEvents } from '../testing/read-events.ts'
import type { Account, TestClient } from '../testing/test-client.ts'
import { startTestServer, type TestServer, testEngines } from '../testing/test-server.ts'
import { type AccountHooks, FunctionRefusal } from './account-hooks.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })
/** What is slow on purpose is not what these tests are about. */
const CHEAP = { memoryCost: 64, timeCost: 1 }
const PASSWORD = 'correct horse battery'
const notes = '/v1/sync/notes/0'
const refusal = (status: number, code: string) => ({ status, body: { code } })

const newGate = () => ({ reached: Promise.withResolvers<void>(), open: Promise.withResolvers<void>() })
let gate = newGate()
const accountHooks: AccountHooks = {
  logIn: (payload) => ({ subject: String((payload as { name: string }).name) }),
  functions: {
    greet: ({ user }, greeting) => `${String(greeting)}, ${user.id}`,
    async count({ customData }) {
      const { visits = 0 } = (await customData.read()) as { visits?: number }
      await customData.write({ visits: visits + 1 })
      return visits + 1
    },
    async note({ collection }, id, text) {
      const mine = collection('notes')
      await mine.put({ id, text })
      return { one: await mine.get(String(id)), all: await mine.list() }
    },
    async erase({ collection }, id) {
      await collection('notes').delete(String(id))
      return collection('notes').get(String(id))
    },
    peek: ({ collection }, scope) => collection('notes', String(scope)).list(),
    refuse() {
      throw new FunctionRefusal('out_of_office', 'Nobody is here.')
    },
    fail() {
      throw new Error('secret detail')
    },
    async wait({ customData }) {
      gate.reached.resolve()
      await gate.open.promise
      return customData.read()
    },
    nothing: () => undefined,
    forever: () => new Promise(() => {}),
  },
}

describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer
  let client: TestClient
  beforeAll(async () => {
    server = await startTestServer({
      engine,
      passwordCost: CHEAP,
      accountHooks,
      config: { collections: { notes: { schemaVersion: 0 } }, accounts: { functionTimeoutS: 1, providers: { function: true } } },
    })
    client = server.client
  })
  afterAll(() => server.close())

  const call = (name: string, args: readonly unknown[], token: string) =>
    client.post(`/v1/auth/functions/${name}`, { arguments: args }, token)
  const newEmail = () => `${randomUUID()}@example.org`
  const email = (address: string, password = PASSWORD) => ({ provider: 'email-password', email: address, password })
  const badge = (name: string = randomUUID()) => ({ provider: 'function', payload: { name } })
  const logIn = (credentials: object) => client.post('/v1/auth/login', credentials)
  const whoami = async (token: string) => (await client.get('/v1/auth/profile', token)).body

  describe('linking', () => {
    test('a guest becomes an account and keeps the user id, whether the address was registered before or not', async () => {
      for (const registered of [true, false]) {
        const guest = await client.logInAnonymously()
        const address = newEmail()
        if (registered) await client.post('/v1/auth/register', { email: address, password: PASSWORD })
        const linked = await client.post('/v1/auth/link', email(address), guest.access_token)
        expect(linked).toMatchObject({
          status: 200,
          body: {
            user_id: guest.user_id,
            identities: [{ provider: 'anonymous' }, { provider: 'email-password' }],
            profile: { email: address },
          },
        })
        expect(await logIn(email(address))).toMatchObject({ status: 200, body: { user_id: guest.user_id } })
      }
    })

    test('several identities lead to one user; linking one again changes nothing', async () => {
      const ada = await client.newAccount()
      const name = randomUUID()
      const linked = await client.post('/v1/auth/link', badge(name), ada.access_token)
      expect(await client.post('/v1/auth/link', badge(name), ada.access_token)).toMatchObject({ status: 200, body: linked.body as object })
      expect(await logIn(badge(name))).toMatchObject({ body: { user_id: ada.user_id, is_new: false } })
    })

    test('what belongs to somebody else is identity_taken, and nothing has changed', async () => {
      const [ada, bob] = [await client.newAccount(), await client.newAccount()]
      const taken = await logIn(badge('taken'))
      expect(taken.status).toBe(200)
      expect(await client.post('/v1/auth/link', badge('taken'), ada.access_token)).toMatchObject(refusal(409, 'identity_taken'))
      const guest = await client.logInAnonymously()
      expect(await client.post('/v1/auth/link', email(bob.email, bob.password), guest.access_token)).toMatchObject(
        refusal(409, 'identity_taken'),
      )
      expect(await whoami(guest.access_token)).toMatchObject({ identities: [{ provider: 'anonymous' }] })
      expect((await client.get('/v1/auth/profile', bob.access_token)).status).toBe(200)
    })

    test('a second address, a wrong password, and what is no identity are refused', async () => {
      const ada = await client.newAccount()
      const bob = await client.newAccount()
      expect(await client.post('/v1/auth/link', email(newEmail()), ada.access_token)).toMatchObject(refusal(409, 'provider_linked'))
      const guest = await client.logInAnonymously()
      expect(await client.post('/v1/auth/link', email(bob.email, 'wrong wrong wrong'), guest.access_token)).toMatchObject(
        refusal(401, 'invalid_credentials'),
      )
      expect(await client.post('/v1/auth/link', email(newEmail(), 'short'), guest.access_token)).toMatchObject(
        refusal(400, 'weak_password'),
      )
      expect(await client.post('/v1/auth/link', { provider: 'anonymous' }, guest.access_token)).toMatchObject(refusal(400, 'not_linkable'))
    })
  })

  describe('deletion', () => {
    test('right after the log-in; later with a proof, and only with a proof of oneself', async () => {
      const [ada, bob] = [await client.newAccount(), await client.newAccount()]
      server.pass({ minutes: 6 })
      expect(await client.post('/v1/auth/delete', {}, ada.access_token)).toMatchObject(refusal(403, 'fresh_proof_needed'))
      expect(await client.post('/v1/auth/delete', { proof: email(bob.email, bob.password) }, ada.access_token)).toMatchObject(
        refusal(403, 'fresh_proof_needed'),
      )
      expect(await client.post('/v1/auth/delete', { proof: email(ada.email, 'wrong wrong wrong') }, ada.access_token)).toMatchObject(
        refusal(401, 'invalid_credentials'),
      )
      expect((await client.post('/v1/auth/delete', { proof: email(ada.email, ada.password) }, ada.access_token)).status).toBe(200)
      const fresh = await client.logIn(bob.email, bob.password)
      expect((await client.post('/v1/auth/delete', {}, fresh.access_token)).status).toBe(200)
    })

    test('an anonymous user needs the live session only', async () => {
      const guest = await client.logInAnonymously()
      server.pass({ minutes: 10 })
      expect((await client.post('/v1/auth/delete', {}, guest.access_token)).status).toBe(200)
    })

    test('SV-5: every token is dead, streams are cut, and a late device learns user_deleted, not a new account', async () => {
      const ada = await client.newAccount()
      const elsewhere = await client.logIn(ada.email, ada.password)
      const loggedOut = await client.logIn(ada.email, ada.password)
      await client.post('/v1/auth/revoke', { revoke_handle: loggedOut.revoke_handle })
      const events = await readEvents(`${server.url}${notes}/stream`, elsewhere.access_token)
      await events.next()

      await client.post('/v1/auth/delete', {}, ada.access_token)

      expect(await events.next()).toMatchObject({ event: 'end' })
      expect(await client.get(`${notes}/pull`, elsewhere.access_token)).toMatchObject(refusal(401, 'user_deleted'))
      for (const session of [ada, elsewhere, loggedOut])
        expect(await client.refresh(session.refresh_token)).toMatchObject(refusal(400, 'user_deleted'))
      expect(await logIn(email(ada.email, ada.password))).toMatchObject(refusal(401, 'invalid_credentials'))
      await client.post('/v1/auth/register', { email: ada.email, password: ada.password })
      expect((await client.logIn(ada.email, ada.password)).user_id).not.toBe(ada.user_id)
    })

    test.each(engine === 'pglite' ? (['erase', 'keep'] as const) : (['erase'] as const))(
      'documents are treated by policy: %s',
      async (documentsOfDeletedUsers) => {
        const config = { collections: { notes: { schemaVersion: 0 } }, accounts: { documentsOfDeletedUsers } }
        const at = documentsOfDeletedUsers === 'erase' ? server : await startTestServer({ passwordCost: CHEAP, config })
        const ada = await at.client.newAccount()
        await at.client.post(`${notes}/push`, [{ newDocumentState: { id: 'n1', text: 'mine' } }], ada.access_token)
        await at.client.post('/v1/auth/delete', {}, ada.access_token)
        expect((await at.admin.users.show(ada.user_id)).documents).toHaveLength(documentsOfDeletedUsers === 'keep' ? 1 : 0)
        if (at !== server) await at.close()
      },
    )
  })

  describe('password', () => {
    test('SV-6, SV-8: a change ends every other session with password_changed and renews this one', async () => {
      const ada = await client.newAccount()
      const elsewhere = await client.logIn(ada.email, ada.password)
      const changed = await client.post(
        '/v1/auth/password',
        { current_password: ada.password, new_password: 'another long password' },
        ada.access_token,
      )

      expect(changed).toMatchObject({ status: 200, body: { user_id: ada.user_id, device_id: ada.device_id } })
      const renewed = changed.body as Account
      expect(renewed.session_id).not.toBe(ada.session_id)
      expect((await client.get('/v1/auth/profile', renewed.access_token)).status).toBe(200)
      for (const session of [ada, elsewhere])
        expect(await client.refresh(session.refresh_token)).toMatchObject(refusal(400, 'password_changed'))
      expect(await logIn(email(ada.email, ada.password))).toMatchObject(refusal(401, 'invalid_credentials'))
      expect((await logIn(email(ada.email, 'another long password'))).status).toBe(200)
    })

    test('a wrong current one, a weak new one, and a user without one are refused', async () => {
      const ada = await client.newAccount()
      const change = (current_password: string, new_password: string, token = ada.access_token) =>
        client.post('/v1/auth/password', { current_password, new_password }, token)
      expect(await change('wrong wrong wrong', PASSWORD)).toMatchObject(refusal(401, 'invalid_credentials'))
      expect(await change(ada.password, 'short')).toMatchObject(refusal(400, 'weak_password'))
      const guest = await client.logInAnonymously()
      expect(await change(PASSWORD, PASSWORD, guest.access_token)).toMatchObject(refusal(409, 'no_password'))
    })

    test.each([
      ['14 characters', 'fourteen chars', 400],
      ['15 characters', 'fifteen charact', 201],
      ['64 characters and more', 'many words '.repeat(10) + randomUUID(), 201],
      ['15 characters of any script', 'пароль 密碼 🔑 कुंजी', 201],
      ['a common one', '1QAZ2wsx3edc4rfv', 400],
      ['a common one, repeated', 'password'.repeat(3), 400],
      ['one character, repeated', 'x'.repeat(20), 400],
    ])('PW-3, PW-4: %s', async (_what, password, status) => {
      expect(await client.post('/v1/auth/register', { email: newEmail(), password })).toMatchObject({ status })
    })

    test('PW-3: nothing of a password is cut off or folded', async () => {
      const address = newEmail()
      const password = `${'long '.repeat(30)}End`
      await client.post('/v1/auth/register', { email: address, password })
      for (const other of [password.slice(0, -1), password.toLowerCase(), `${password} `])
        expect((await logIn(email(address, other))).status).toBe(401)
      expect((await logIn(email(address, password))).status).toBe(200)
    })
  })

  describe('API keys', () => {
    const newKey = async (token: string, name = 'robot') =>
      (await client.post('/v1/auth/api-keys', { name }, token)).body as { id: string; key: string }

    test('the secret is shown once; a key logs in as its user, and is listed, disabled, enabled and deleted', async () => {
      const ada = await client.newAccount()
      const { id, key } = await newKey(ada.access_token)
      const info = { id, name: 'robot', enabled: true }
      expect((await client.get('/v1/auth/api-keys', ada.access_token)).body).toEqual({ api_keys: [info] })
      expect((await client.get(`/v1/auth/api-keys/${id}`, ada.access_token)).body).toEqual(info)
      const robot = (await logIn({ provider: 'api-key', key })).body as Account
      expect(robot.user_id).toBe(ada.user_id)

      expect((await client.put(`/v1/auth/api-keys/${id}/disable`, ada.access_token)).status).toBe(200)
      expect(await logIn({ provider: 'api-key', key })).toMatchObject(refusal(401, 'invalid_credentials'))
      expect(await client.get('/v1/auth/profile', robot.access_token)).toMatchObject(refusal(401, 'session_revoked'))
      expect((await client.put(`/v1/auth/api-keys/${id}/enable`, ada.access_token)).status).toBe(200)
      expect((await logIn({ provider: 'api-key', key })).status).toBe(200)
      expect((await client.delete(`/v1/auth/api-keys/${id}`, ada.access_token)).status).toBe(200)
      expect(await logIn({ provider: 'api-key', key })).toMatchObject(refusal(401, 'invalid_credentials'))
      expect(await client.get(`/v1/auth/api-keys/${id}`, ada.access_token)).toMatchObject(refusal(404, 'not_found'))
    })

    test('names are unique; keys of others do not exist; mangled keys are wrong', async () => {
      const [ada, bob] = [await client.newAccount(), await client.newAccount()]
      const { id, key } = await newKey(ada.access_token)
      expect(await client.post('/v1/auth/api-keys', { name: 'robot' }, ada.access_token)).toMatchObject(refusal(409, 'name_taken'))
      expect(await client.post('/v1/auth/api-keys', { name: 'no spaces' }, ada.access_token)).toMatchObject(refusal(400, 'invalid_request'))
      for (const attempt of [
        client.get(`/v1/auth/api-keys/${id}`, bob.access_token),
        client.put(`/v1/auth/api-keys/${id}/disable`, bob.access_token),
        client.delete(`/v1/auth/api-keys/${id}`, bob.access_token),
      ])
        expect(await attempt).toMatchObject(refusal(404, 'not_found'))
      for (const wrong of [key.slice(0, -1), `${key.slice(0, -2)}AA`, key.toUpperCase(), 'nlk_', ''])
        expect(await logIn({ provider: 'api-key', key: wrong })).toMatchObject(refusal(401, 'invalid_credentials'))
    })

    test('a key’s session syncs and calls functions; it changes nothing of the account', async () => {
      const ada = await client.newAccount()
      const { id, key } = await newKey(ada.access_token)
      const { access_token: robot } = (await logIn({ provider: 'api-key', key })).body as Account
      expect((await client.post(`${notes}/push`, [{ newDocumentState: { id: 'n1' } }], robot)).status).toBe(200)
      expect((await call('greet', ['Hello'], robot)).status).toBe(200)
      for (const attempt of [
        client.post('/v1/auth/api-keys', { name: 'another' }, robot),
        client.get('/v1/auth/api-keys', robot),
        client.delete(`/v1/auth/api-keys/${id}`, robot),
        client.post('/v1/auth/link', badge(), robot),
        client.post('/v1/auth/password', { current_password: ada.password, new_password: PASSWORD }, robot),
        client.post('/v1/auth/delete', {}, robot),
        client.post('/v1/auth/unlock-key', {}, robot),
      ])
        expect(await attempt).toMatchObject(refusal(403, 'not_with_api_key'))
    })
  })

  describe('functions', () => {
    test('run as the user, with arguments; their answer is JSON', async () => {
      const ada = await client.newAccount()
      expect(await call('greet', ['Hello'], ada.access_token)).toMatchObject({ status: 200, body: { result: `Hello, ${ada.user_id}` } })
      expect(await call('nothing', [], ada.access_token)).toMatchObject({ body: { result: null } })
      expect(await call('toString', [], ada.access_token)).toMatchObject(refusal(404, 'function_not_found'))
    })

    test('read and write custom data, which the profile tells', async () => {
      const ada = await client.newAccount()
      await call('count', [], ada.access_token)
      expect(await call('count', [], ada.access_token)).toMatchObject({ body: { result: 2 } })
      expect(await whoami(ada.access_token)).toMatchObject({ custom_data: { visits: 2 } })
      expect(await logIn(email(ada.email, ada.password))).toMatchObject({ body: { custom_data: { visits: 2 } } })
    })

    test('write documents that sync, in scopes open to the user only', async () => {
      const ada = await client.newAccount()
      const events = await readEvents(`${server.url}${notes}/stream`, ada.access_token)
      await events.next()
      expect(await call('note', ['n1', 'by function'], ada.access_token)).toMatchObject({
        body: { result: { one: { text: 'by function' }, all: [{ id: 'n1' }] } },
      })
      expect(await events.next()).toMatchObject({ data: 'RESYNC' })
      await events.close()
      expect((await client.get(`${notes}/pull`, ada.access_token)).body).toMatchObject({
        documents: [{ id: 'n1', text: 'by function', _deleted: false }],
      })
      await call('note', ['n1', 'again'], ada.access_token)
      expect(await call('erase', ['n1'], ada.access_token)).toMatchObject({ body: { result: null } })
      expect((await client.get(`${notes}/pull`, ada.access_token)).body).toMatchObject({ documents: [{ id: 'n1', _deleted: true }] })
      expect(await call('peek', ['team:x'], ada.access_token)).toMatchObject(refusal(403, 'scope_denied'))
    })

    test('refuse with their own code, or fail without a detail', async () => {
      const ada = await client.newAccount()
      expect(await call('refuse', [], ada.access_token)).toMatchObject({
        status: 422,
        body: { code: 'out_of_office', error: 'Nobody is here.' },
      })
      const failed = await call('fail', [], ada.access_token)
      expect(failed).toMatchObject(refusal(422, 'function_failed'))
      expect(await call('forever', [], ada.access_token)).toMatchObject(refusal(422, 'function_timed_out'))
      expect(JSON.stringify(failed.body)).not.toContain('secret detail')
    })

    test('SV-5: a revocation counts in the middle of a function', async () => {
      const ada = await client.newAccount()
      gate = newGate()
      const waiting = call('wait', [], ada.access_token)
      await gate.reached.promise
      await server.admin.revokeSessions(ada.user_id)
      gate.open.resolve()
      expect(await waiting).toMatchObject(refusal(401, 'session_revoked'))
    })
  })

  describe('unlock keys', () => {
    const unlockKey = async (token: string) => (await client.post('/v1/auth/unlock-key', {}, token)).body as { unlock_key: string }

    test('one per user and device, the same after log-out, expiry, revocation and a changed password', async () => {
      const ada = await client.newAccount()
      const { unlock_key } = await unlockKey(ada.access_token)
      expect(Buffer.from(unlock_key, 'base64url')).toHaveLength(32)
      const again = async () => (await logIn({ ...email(ada.email, ada.password), device_id: ada.device_id })).body as Account
      await client.post('/v1/auth/revoke', { revoke_handle: ada.revoke_handle })
      expect(await unlockKey((await again()).access_token)).toEqual({ unlock_key })
      server.pass({ days: 200 })
      const late = await again()
      expect(await unlockKey(late.access_token)).toEqual({ unlock_key })
      const changed = await client.post(
        '/v1/auth/password',
        { current_password: ada.password, new_password: 'another long password' },
        late.access_token,
      )
      expect(await unlockKey((changed.body as Account).access_token)).toEqual({ unlock_key })
      expect((await unlockKey((await client.logIn(ada.email, 'another long password')).access_token)).unlock_key).not.toBe(unlock_key) // another device
    })

    test('only right after a log-in, not while disabled, never after forgetting or deletion', async () => {
      const ada = await client.newAccount()
      const before = await unlockKey(ada.access_token)
      server.pass({ minutes: 6 })
      expect(await client.post('/v1/auth/unlock-key', {}, ada.access_token)).toMatchObject(refusal(403, 'fresh_proof_needed'))
      await client.delete('/v1/auth/unlock-key', ada.access_token)
      const again = (await logIn({ ...email(ada.email, ada.password), device_id: ada.device_id })).body as Account
      expect(again.device_id).toBe(ada.device_id)
      expect(await unlockKey(again.access_token)).not.toEqual(before)
      await server.admin.disableUser(ada.user_id)
      expect(await client.post('/v1/auth/unlock-key', {}, again.access_token)).toMatchObject(refusal(401, 'user_disabled'))
    })
  })

  describe('idempotency keys', () => {
    const key = () => ({ 'Idempotency-Key': randomUUID() })

    test('a repeated log-in, registration, link, key and function call do the thing once', async () => {
      const ada = await client.newAccount()
      const login = { provider: 'anonymous' }
      const cases: [string, object, string | undefined, (body: object) => unknown][] = [
        ['/v1/auth/login', login, undefined, (body) => (body as Account).session_id],
        ['/v1/auth/register', { email: newEmail(), password: PASSWORD }, undefined, (body) => body],
        ['/v1/auth/link', badge(), ada.access_token, (body) => body],
        ['/v1/auth/api-keys', { name: 'once' }, ada.access_token, (body) => body],
        ['/v1/auth/functions/count', { arguments: [] }, ada.access_token, (body) => body],
      ]
      for (const [path, body, token, gist] of cases) {
        const headers = key()
        const first = await client.post(path, body, token, headers)
        const second = await client.post(path, body, token, headers)
        expect(second.status).toBe(first.status)
        expect(gist(second.body as object)).toEqual(gist(first.body as object))
        expect(first.status).toBeLessThan(300)
      }
      expect(await whoami(ada.access_token)).toMatchObject({ custom_data: { visits: 1 } })
    })

    test('twenty at once make one anonymous user', async () => {
      const headers = key()
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => client.post('/v1/auth/login', { provider: 'anonymous' }, undefined, headers)),
      )
      expect(new Set(answers.map(({ body }) => (body as Account).user_id)).size).toBe(1)
    })

    test('a lost answer to a password change or a deletion can be had again', async () => {
      const ada = await client.newAccount()
      const change = { current_password: ada.password, new_password: 'another long password' }
      const headers = key()
      const first = await client.post('/v1/auth/password', change, ada.access_token, headers)
      const second = await client.post('/v1/auth/password', change, ada.access_token, headers)
      expect((second.body as Account).session_id).toBe((first.body as Account).session_id)
      const gone = key()
      const token = (first.body as Account).access_token
      expect((await client.post('/v1/auth/delete', {}, token, gone)).status).toBe(200)
      expect((await client.post('/v1/auth/delete', {}, token, gone)).status).toBe(200)
    })

    test('one key for two different requests is a mistake, and says so; a refusal is not kept', async () => {
      const headers = key()
      await client.post('/v1/auth/register', { email: newEmail(), password: PASSWORD }, undefined, headers)
      expect(await client.post('/v1/auth/register', { email: newEmail(), password: PASSWORD }, undefined, headers)).toMatchObject(
        refusal(422, 'idempotency_key_reused'),
      )
      const retry = key()
      const address = newEmail()
      expect((await client.post('/v1/auth/login', email(address), undefined, retry)).status).toBe(401)
      await client.post('/v1/auth/register', { email: address, password: PASSWORD })
      expect((await client.post('/v1/auth/login', email(address), undefined, retry)).status).toBe(200)
    })
  })

  test('a wiped device is told so at its refresh, loses its unlock key, and its receipt is kept', async () => {
    const ada = await client.newAccount()
    await server.admin.users.wipeDevice(ada.device_id)
    expect(await client.refresh(ada.refresh_token)).toMatchObject(refusal(400, 'device_wiped'))
    expect(
      (await client.post('/v1/auth/wipe-receipt', { handle: ada.revoke_handle, receipt: { discarded: 3, erased: 'verified' } })).status,
    ).toBe(200)
    expect(await client.post('/v1/auth/wipe-receipt', { handle: `${ada.revoke_handle.slice(0, -3)}AAA`, receipt: {} })).toMatchObject(
      refusal(400, 'invalid_handle'),
    )
    expect(await server.admin.users.show(ada.user_id)).toMatchObject({ devices: [{ wipe_receipt: { discarded: 3, erased: 'verified' } }] })
    expect((await logIn({ ...email(ada.email, ada.password), device_id: ada.device_id })).body).not.toMatchObject({
      device_id: ada.device_id,
    })
  })

  test('abandoned anonymous users are purged; linked ones and those still in use are not', async () => {
    const [abandoned, linked, used] = [await client.logInAnonymously(), await client.logInAnonymously(), await client.logInAnonymously()]
    await client.post('/v1/auth/link', badge(), linked.access_token)
    server.pass({ days: 150 })
    const later = await client.refreshed(used.refresh_token)
    server.pass({ days: 61 })
    await server.admin.purge()
    expect(await client.refresh(abandoned.refresh_token)).toMatchObject(refusal(400, 'user_deleted'))
    expect(await client.refresh(linked.refresh_token)).toMatchObject(refusal(400, 'expired'))
    expect((await client.refresh(later.refresh_token)).status).toBe(200)
  })
})
