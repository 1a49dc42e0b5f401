import 'fake-indexeddb/auto'
import { realWorld } from '@nightlatch/auth-core/world'
import { startTestServer, type TestServer } from '@nightlatch/server/testing'
import { filter, firstValueFrom } from 'rxjs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Credentials, type KdfSettings, openApp } from './index.ts'

const noteSchema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 40 }, text: { type: 'string' } },
  required: ['id', 'text'],
} as const

/** What the tests do not measure: the cost of guessing secrets, at the least that is allowed. */
const floor: KdfSettings = { name: 'argon2id', memoryKiB: 19_456, passes: 2 }

let server: TestServer
const apps: { close(): Promise<void> }[] = []
let account = 0

beforeAll(async () => {
  server = await startTestServer({ config: { collections: { notes: { schemaVersion: 0, scope: 'mine' } } } })
}, 60_000)
afterAll(() => server.close())
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

async function open(id = 'notes', options: Partial<Parameters<typeof openApp>[0]> = {}) {
  const app = await openApp({
    kdf: floor,
    ...options,
    id,
    server: server.url,
    collections: { notes: { schema: noteSchema, sync: true } },
  })
  apps.push(app)
  return app
}

type NotesApp = Awaited<ReturnType<typeof open>>

async function newAccount(app: NotesApp) {
  account += 1
  const [email, password] = [`ann${account}@example.org`, 'correct horse battery']
  await app.emailPasswordAuth.registerUser({ email, password })
  return Credentials.emailPassword(email, password)
}

const allSent = (app: NotesApp) =>
  firstValueFrom(app.syncState$.pipe(filter(({ kind, pending }) => kind === 'synced' && pending.count === 0 && pending.exact)))

describe('openApp on the real server', () => {
  test('what one device writes arrives on another of the same user', async () => {
    const [one, two] = [await open('one'), await open('two')]
    const credentials = await newAccount(one)
    await one.logIn(credentials)
    await two.logIn(credentials)
    const [db, other] = [await one.openDatabase(), await two.openDatabase()]

    await db.notes.insert({ id: 'n1', text: '3 chicks' })

    const arrived = await firstValueFrom(other.notes.findOne('n1').$.pipe(filter((note) => note !== null)))
    expect(arrived.text).toBe('3 chicks')
    await allSent(one)
  })

  test('a log-out keeps what was not sent, and the next log-in of the user sends it', async () => {
    const app = await open('keeps')
    const credentials = await newAccount(app)
    await app.logIn(credentials)
    const db = await app.openDatabase()
    await app.sync.suspend()
    await db.notes.insert({ id: 'kept', text: 'not sent yet' })

    const result = await app.logOut()
    expect(result).toMatchObject({ kept: 1, uploaded: 0, discarded: 0, revocation: 'done' })
    expect(app.currentUser).toBeNull()
    await expect(app.openDatabase()).rejects.toMatchObject({ code: 'not-logged-in' })

    await app.sync.resume()
    await app.logIn(credentials)
    const again = await app.openDatabase()
    expect((await again.notes.findOne('kept').exec())?.text).toBe('not sent yet')
    await allSent(app)
  })

  test('`unsynced: "upload"` sends what is pending first', async () => {
    const app = await open('uploads')
    await app.logIn(await newAccount(app))
    const db = await app.openDatabase()
    await allSent(app)
    await db.notes.insert({ id: 'n1', text: 'last minute' })

    expect(await app.logOut({ unsynced: 'upload', timeoutMs: 5_000 })).toMatchObject({ kept: 0 })
  })

  test("a guest's unsent writes refuse the log-out, and nothing has changed", async () => {
    const app = await open('guest')
    await app.logIn(Credentials.anonymous())
    const db = await app.openDatabase()
    await allSent(app)
    await server.close()
    await db.notes.insert({ id: 'n1', text: 'mine alone' })

    await expect(app.logOut()).rejects.toMatchObject({ code: 'pending-writes', pending: 1 })

    expect(app.currentUser).not.toBeNull()
    await db.notes.insert({ id: 'n2', text: 'still open' })
    expect(await app.logOut({ unsynced: 'discard' })).toMatchObject({ discarded: 2, revocation: 'queued' })
    server = await startTestServer({ config: { collections: { notes: { schemaVersion: 0, scope: 'mine' } } } })
  })

  test('two users of one device have a database each', async () => {
    const app = await open('shared')
    const [ann, bob] = [await newAccount(app), await newAccount(app)]
    await app.logIn(ann)
    const first = await app.openDatabase()
    await first.notes.insert({ id: 'n1', text: "Ann's" })

    await app.logIn(bob)
    const second = await app.openDatabase()

    expect(second.name).not.toBe(first.name)
    expect(first.closed).toBe(true)
    expect(await second.notes.find().exec()).toEqual([])
  })
})

test('G3: a removal and a deletion are refused while something is not uploaded, and nothing has changed', async () => {
  const app = await open('refused')
  const credentials = await newAccount(app)
  const user = await app.logIn(credentials)
  const db = await app.openDatabase()
  await allSent(app)
  await app.sync.suspend()
  await db.notes.insert({ id: 'n1', text: 'not sent yet' })

  await expect(app.removeUser(user)).rejects.toMatchObject({ code: 'pending-writes', pending: 1 })
  await expect(app.deleteUser(user, { proof: credentials })).rejects.toMatchObject({ code: 'pending-writes', pending: 1 })

  expect(app.currentUser).toBe(user)
  expect(db.closed).toBe(false)
  await db.notes.insert({ id: 'n2', text: 'still open' })
  await app.sync.resume()
  await allSent(app)
  expect(await app.deleteUser(user, { proof: credentials })).toMatchObject({ kept: 0, discarded: 0, erased: 'verified' })
  await expect(app.logIn(credentials)).rejects.toMatchObject({ code: 'invalid-credentials' })
})

test('a server that goes away shows as `offline`, also when there is nothing to send', async () => {
  const app = await open('away')
  await app.logIn(await newAccount(app))
  await app.openDatabase()
  await allSent(app)

  await server.close()
  await firstValueFrom(app.syncState$.pipe(filter(({ kind }) => kind === 'offline')))

  expect(app.authState.kind).toBe('signed-in')
  server = await startTestServer({ config: { collections: { notes: { schemaVersion: 0, scope: 'mine' } } } })
})

test('C3: a removal leaves no database of the user on the device, and nobody else’s is touched', async () => {
  const databases = async () => (await indexedDB.databases()).map(({ name }) => name ?? '').filter((name) => name.startsWith('rxdb-'))
  const app = await open('removal')
  const [ann, bob] = [await newAccount(app), await newAccount(app)]
  await app.logIn(bob)
  const bobs = (await app.openDatabase()).name
  await app.logIn(ann)
  const db = await app.openDatabase()
  await db.notes.insert({ id: 'n1', text: 'soon gone' })
  await allSent(app)
  const user = app.currentUser
  if (!user) throw new Error('Nobody is current.')

  expect(await app.removeUser(user)).toMatchObject({ erased: 'verified', revocation: 'done' })

  expect((await databases()).filter((name) => name.includes(db.name))).toEqual([])
  expect((await databases()).filter((name) => name.includes(bobs))).not.toEqual([])
  expect(user.state).toBe('removed')
  expect(Object.keys(app.allUsers)).toHaveLength(1)
})

describe('without the server', () => {
  const unreachable: typeof fetch = () => Promise.reject(new TypeError('fetch failed'))
  const worldWithout = () => ({ ...realWorld(), fetch: unreachable })

  test('a person who has logged in here once gets in with their own password, writes, and is verified when the server is back', async () => {
    const first = await open('offline')
    const credentials = await newAccount(first)
    await first.logIn(credentials)
    const db = await first.openDatabase()
    await db.notes.insert({ id: 'n1', text: 'before' })
    await allSent(first)
    await first.logOut()
    await first.close()
    let isBack = false
    const world = { ...realWorld(), fetch: ((input, init) => (isBack ? fetch(input, init) : unreachable(input, init))) as typeof fetch }

    const app = await open('offline', { world })
    expect(app.authState.kind).toBe('signed-out')
    const user = await app.logIn(credentials)

    expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'unverified' })
    expect(user.profile.email).toMatch(/@example.org$/)
    const again = await app.openDatabase()
    expect((await again.notes.findOne('n1').exec())?.text).toBe('before')
    await again.notes.insert({ id: 'n2', text: 'written offline' })

    isBack = true
    await firstValueFrom(app.authState$.pipe(filter((state) => state.kind === 'signed-in' && state.access === 'fresh')))
    await allSent(app)
  })

  test('the wrong password and an unknown person are the same refusal', async () => {
    const first = await open('refusal')
    await first.logIn(await newAccount(first))
    await first.logOut()
    await first.close()
    const app = await open('refusal', { world: worldWithout() })

    const wrong = app.logIn(Credentials.emailPassword(`ann${account}@example.org`, 'not the password'))
    await expect(wrong).rejects.toMatchObject({ code: 'offline-login-failed' })
    const unknown = app.logIn(Credentials.emailPassword('nobody@example.org', 'not the password'))
    await expect(unknown).rejects.toMatchObject({ code: 'offline-login-failed' })
    expect(app.authState.kind).toBe('signed-out')
  })

  test('on a device nobody has used the first log-in needs the network', async () => {
    const app = await open('fresh', { world: worldWithout() })

    const first = app.logIn(Credentials.emailPassword('ann@example.org', 'correct horse battery'))
    await expect(first).rejects.toMatchObject({ code: 'first-login-needs-network' })
  })

  test('`stay: "unlock"`: a restart is locked until the password opens it, without a network', async () => {
    const first = await open('kiosk', { stay: 'unlock' })
    const credentials = await newAccount(first)
    await first.logIn(credentials)
    await first.close()

    const app = await open('kiosk', { stay: 'unlock', world: worldWithout() })
    expect(app.authState).toMatchObject({
      kind: 'locked',
      why: 'start',
      methods: expect.arrayContaining(['password']),
      session: { kind: 'kept' },
    })
    await expect(app.unlock('password', 'wrong one')).rejects.toMatchObject({ code: 'unlock-failed', reason: 'wrong-secret' })
    await app.unlock('password', 'correct horse battery')

    expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
    await app.lock()
    expect(app.authState).toMatchObject({ kind: 'locked', why: 'explicit' })
  })
})
