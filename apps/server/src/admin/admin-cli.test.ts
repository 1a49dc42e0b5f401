import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { administer } from '../start-server.ts'
import { temporaryDataDir } from '../testing/temporary-data-dir.ts'
import type { Account } from '../testing/test-client.ts'
import { startTestIssuer, type TestIssuer } from '../testing/test-issuer.ts'
import { startTestServer, type TestServer, testEngines } from '../testing/test-server.ts'
import { sendCommand } from './admin-socket.ts'
import { readAdminCommand } from './commands.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })
const PASSWORD = 'correct horse battery'
const refusal = (status: number, code: string) => ({ status, body: { code } })
const notes = '/v1/sync/notes/0'

test('flags of commands and settings are told apart, wherever they stand', () => {
  const read = (line: string) => readAdminCommand(line.split(' '), '/here')
  expect(read('users import --data DIR file.json --dry-run --report r.txt --config=c.json')).toEqual({
    command: { words: ['users', 'import', 'file.json'], flags: { 'dry-run': true, report: 'r.txt' }, cwd: '/here' },
    settings: ['--data', 'DIR', '--config', 'c.json'],
  })
  expect(read('--port 1')).toBeUndefined()
  expect(read('import file')).toBeUndefined()
})

describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer
  let issuer: TestIssuer
  let folder: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'nl-'))
    issuer = await startTestIssuer({ audience: 'app' })
    server = await startTestServer({
      engine,
      passwordCost: { memoryCost: 64, timeCost: 1 },
      adminSocket: true,
      config: {
        collections: { notes: { schemaVersion: 0, scope: ['mine', 'team:*'] } },
        accounts: {
          providers: {
            'email-password': { resetUrl: 'https://app.example.org/reset' },
            jwt: { issuers: [{ name: 'old', issuer: issuer.url, jwksUri: issuer.jwksUri, audience: 'app' }] },
            google: { clientIds: ['app'], issuers: [issuer.url], jwksUri: issuer.jwksUri },
          },
        },
      },
    })
  })
  afterAll(async () => {
    await server.close()
    await issuer.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Runs a command at the running server, as the command line does. */
  async function run(...words: string[]) {
    const parsed = readAdminCommand(words, folder)
    if (!parsed) throw new Error('no command')
    const said: { readonly out: string[]; readonly err: string[] } = { out: [], err: [] }
    const done = await sendCommand(server.dataDir, parsed.command, {
      out: (text) => void said.out.push(text),
      err: (text) => void said.err.push(text),
    })
    const [out, err] = [said.out.join(''), said.err.join('')]
    return {
      done,
      out,
      err,
      result: (out.startsWith('{') && !out.includes('\n{')) || out.startsWith('[') ? (JSON.parse(out) as unknown) : undefined,
    }
  }
  const events = async (user: string) => ((await run('users', 'audit', user)).result as { event: string }[]).map(({ event }) => event)

  test('users are listed, searched, shown, disabled, enabled, revoked and deleted; every act is audited', async () => {
    const ada = await server.client.newAccount()
    expect((await run('users', 'list', '--search', ada.email)).out).toContain(ada.user_id)
    expect((await run('users', 'list', '--search', '%', '--limit', '5')).out).toBe('')
    expect((await run('users', 'show', ada.email)).result).toMatchObject({
      id: ada.user_id,
      sessions: [{ id: ada.session_id }],
      devices: [{ id: ada.device_id }],
    })

    await run('users', 'disable', ada.email)
    expect(await server.client.refresh(ada.refresh_token)).toMatchObject(refusal(400, 'user_disabled'))
    await run('users', 'enable', ada.user_id)
    const again = await server.client.logIn(ada.email, ada.password)
    expect((await run('users', 'revoke', ada.email)).result).toEqual({ ended: 1 })
    expect(await server.client.refresh(again.refresh_token)).toMatchObject(refusal(400, 'revoked'))
    await run('users', 'set-data', ada.email, '{"plan":"gold"}')
    const third = await server.client.logIn(ada.email, ada.password)
    expect(third).toMatchObject({ custom_data: { plan: 'gold' } })
    expect((await run('sessions', 'revoke', third.session_id)).result).toEqual({ ended: true })
    expect(await server.client.refresh(third.refresh_token)).toMatchObject(refusal(400, 'revoked'))
    await run('users', 'delete', ada.email)
    expect(
      (await server.client.post('/v1/auth/login', { provider: 'email-password', email: ada.email, password: ada.password })).status,
    ).toBe(401)
    expect(await events(ada.user_id)).toEqual(
      expect.arrayContaining(['user-disabled', 'user-enabled', 'session-ended', 'custom-data-set', 'user-deleted']),
    )
  })

  test('a device is wiped; a team gets and loses a member', async () => {
    const ada = await server.client.newAccount()
    await run('scopes', 'set', 'team:blue', ada.email, 'writer')
    expect((await server.client.get(`${notes}/pull?scope=team:blue`, ada.access_token)).status).toBe(200)
    expect((await run('scopes', 'list', ada.email)).result).toEqual([{ scope: 'team:blue', role: 'writer' }])
    await run('scopes', 'remove', 'team:blue', ada.email)
    expect((await server.client.get(`${notes}/pull?scope=team:blue`, ada.access_token)).status).toBe(403)
    await run('sessions', 'wipe', ada.device_id)
    expect(await server.client.refresh(ada.refresh_token)).toMatchObject(refusal(400, 'device_wiped'))
    expect(await events(ada.user_id)).toEqual(expect.arrayContaining(['member-changed', 'device-wiped']))
  })

  test('a server key is of nobody: it gets into the scopes it is put into, and is stopped at once', async () => {
    const { id, key, userId } = (await run('keys', 'create', 'importer')).result as { id: string; key: string; userId: string }
    expect((await run('keys', 'list')).result).toMatchObject([{ id, name: 'importer' }])
    expect((await run('keys', 'list')).out).not.toContain(key.slice(-20))
    await run('scopes', 'set', 'team:data', userId, 'writer')
    const logIn = () => server.client.post('/v1/auth/login', { provider: 'api-key', key })
    const session = (await logIn()).body as Account
    expect(
      (await server.client.post(`${notes}/push?scope=team:data`, [{ newDocumentState: { id: 'n' } }], session.access_token)).status,
    ).toBe(200)
    expect(await server.client.post('/v1/auth/delete', {}, session.access_token)).toMatchObject(refusal(403, 'not_with_api_key'))
    await run('keys', 'disable', id)
    expect(await server.client.get('/v1/auth/profile', session.access_token)).toMatchObject(refusal(401, 'session_revoked'))
    expect(await logIn()).toMatchObject(refusal(401, 'invalid_credentials'))
    await run('keys', 'delete', id)
    expect((await run('keys', 'list')).result).toEqual([])
  })

  test('signing keys are rotated: tokens of the old one stay good, unless it is revoked', async () => {
    const ada = await server.client.newAccount()
    const kids = async () =>
      ((await server.client.get('/.well-known/jwks.json')).body as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
    const before = await kids()
    await run('keys', 'rotate')
    expect(await kids()).toEqual(expect.arrayContaining(before))
    expect((await server.client.get('/v1/auth/profile', ada.access_token)).status).toBe(200)
    const next = await server.client.refreshed(ada.refresh_token)
    await run('keys', 'rotate', '--revoke')
    expect(await server.client.get('/v1/auth/profile', next.access_token)).toMatchObject(refusal(401, 'token_invalid'))
    const renewed = await server.client.refreshed(next.refresh_token)
    expect((await server.client.get('/v1/auth/profile', renewed.access_token)).status).toBe(200)
  })

  test('mistakes get a sentence', async () => {
    expect(await run('users', 'show', 'nobody@example.org')).toMatchObject({ done: false, err: 'There is no such user.\n' })
    expect((await run('users', 'dance')).err).toContain('There is no command "users dance"')
    expect((await run('users', 'set-data', 'x')).done).toBe(false)
    expect((await run('scopes', 'set', 'public', 'x', 'writer')).err).toContain('team:blue')
  })

  describe('users of App Services', () => {
    const id = (n: number) => `5f0c${engine === 'pglite' ? '0' : '1'}${String(n).padStart(19, '0')}`
    const email = (n: number) => `moved-${n}@example.org`
    const users = () => [
      {
        _id: { $oid: id(1) },
        type: 'normal',
        data: { email: email(1), name: 'One', picture: 'x' },
        identities: [{ id: 'abc', provider_type: 'local-userpass' }],
      },
      {
        _id: id(2),
        data: { name: 'Two' },
        identities: [
          { id: 'google-sub-2', provider_type: 'oauth2-google' },
          { id: 'jwt-sub-2', provider_type: 'custom-token' },
        ],
      },
      { _id: id(3), disabled: true, data: { email: email(3) }, identities: [{ id: 'x', provider_type: 'local-userpass' }] },
      {
        _id: id(4),
        data: { email: email(1) },
        identities: [
          { id: 'y', provider_type: 'local-userpass' },
          { id: 'k', provider_type: 'api-key' },
        ],
      },
      { _id: 'a/b', data: {}, identities: [] },
    ]
    const customData = () => `${JSON.stringify({ _id: { $oid: '1' }, user_id: id(1), plan: 'gold', visits: { $numberInt: '7' } })}\n`
    const show = async (n: number) => (await run('users', 'show', id(n))).result

    test('a dry run tells what would happen and changes nothing', async () => {
      writeFileSync(join(folder, 'users.json'), JSON.stringify(users()))
      const { result } = await run('users', 'import', 'users.json', '--dry-run')
      expect(result).toMatchObject({ imported: 4, refused: 1, dryRun: true })
      expect((await run('users', 'show', id(1))).done).toBe(false)
    })

    test('ids, identities and custom data survive; a report names what did not', async () => {
      writeFileSync(
        join(folder, 'users.ndjson'),
        users()
          .map((user) => JSON.stringify(user))
          .join('\n'),
      )
      writeFileSync(join(folder, 'custom.ndjson'), customData())
      const { result, err } = await run('users', 'import', 'users.ndjson', '--custom-data', 'custom.ndjson', '--report', 'report.ndjson')
      expect(result).toEqual({ imported: 4, exists: 0, refused: 1, withNotes: 2, withoutIdentity: 1, dryRun: false })
      expect(err).toContain('5 users')
      expect(await show(1)).toMatchObject({
        custom_data: { user_id: id(1), plan: 'gold', visits: 7 },
        profile: { name: 'One', email: email(1) },
        identities: [{ provider: 'email-password' }],
      })
      const report = readFileSync(join(folder, 'report.ndjson'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object)
      expect(report).toMatchObject([
        {
          id: id(4),
          notes: [expect.stringContaining('another user'), expect.stringContaining('api-key'), expect.stringContaining('nobody')],
        },
        { id: 'a/b', outcome: 'refused' },
      ])
      expect((await run('users', 'import', 'users.ndjson')).result).toMatchObject({ imported: 0, exists: 4 })
    })

    test('the first log-in by an outside identity claims the account', async () => {
      for (const credentials of [
        { provider: 'google', id_token: await issuer.sign({ sub: 'google-sub-2' }) },
        { provider: 'jwt', token: await issuer.sign({ sub: 'jwt-sub-2' }) },
      ])
        expect(await server.client.post('/v1/auth/login', credentials)).toMatchObject({
          status: 200,
          body: { user_id: id(2), is_new: false },
        })
    })

    test('an address is claimed by a reset, and by nothing else', async () => {
      const logIn = (password: string) => server.client.post('/v1/auth/login', { provider: 'email-password', email: email(1), password })
      expect(await logIn('')).toMatchObject(refusal(401, 'invalid_credentials'))
      expect(await server.client.post('/v1/auth/register', { email: email(1), password: PASSWORD })).toMatchObject(
        refusal(409, 'email_taken'),
      )
      await server.client.post('/v1/auth/reset/send', { email: email(1) })
      const [, token = '', token_id = ''] = await vi.waitFor(async () => {
        const { FileMail } = await import('../mail/file-mail.ts')
        const [mail] = new FileMail(join(server.dataDir, 'mail'), Date.now).list().filter(({ to }) => to === email(1))
        const found = /#token=([\w-]+)&tokenId=([\w-]+)/.exec(mail?.text ?? '')
        expect(found).not.toBeNull()
        return found ?? []
      })
      expect((await server.client.post('/v1/auth/reset', { token, token_id, password: PASSWORD })).status).toBe(200)
      expect(await logIn(PASSWORD)).toMatchObject({ status: 200, body: { user_id: id(1), custom_data: { plan: 'gold' } } })
    })

    test('who was disabled there is disabled here', async () => {
      expect(await show(3)).toMatchObject({ disabled_at_ms: expect.any(Number) as number })
    })
  })
})

test('without a running server the command works on the database itself; the key file gets a new secret', async () => {
  const directory = await temporaryDataDir()
  const options = { dataDir: directory.path }
  const out: string[] = []
  const tell = { out: (text: string) => void out.push(text), err: () => {} }
  await administer(options, { words: ['keys', 'create', 'robot'], flags: {}, cwd: '/' }, tell)
  await administer(options, { words: ['keys', 'add-secret'], flags: {}, cwd: '/' }, tell)
  const { keys } = JSON.parse(readFileSync(join(directory.path, 'keys.json'), 'utf8')) as { keys: { kid: string }[] }
  expect(keys.map(({ kid }) => kid)).toEqual(['k1', 'k2'])
  await administer(options, { words: ['keys', 'list'], flags: {}, cwd: '/' }, tell)
  expect(JSON.parse(out.at(-1) ?? '')).toMatchObject([{ name: 'robot' }])
  directory.remove()
})

test('as a process: the command line finds the running server by its socket', async () => {
  const server = await startTestServer({ adminSocket: true })
  const ada = await server.client.newAccount()
  expect(statSync(join(server.dataDir, 'admin.sock')).mode & 0o777).toBe(0o600)
  const main = join(import.meta.dirname, '..', 'main.ts')
  const run = (...words: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, ['--conditions=nightlatch-source', main, ...words, '--data', server.dataDir], (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      )
    })
  const [shown, missing] = await Promise.all([run('users', 'show', ada.email), run('users', 'show', 'nobody@example.org')])
  expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining(ada.user_id) as string })
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no such user.') as string })
  await server.close()
  expect(existsSync(join(server.dataDir, 'admin.sock'))).toBe(false)
})
