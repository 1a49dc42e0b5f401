import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { App } from './app.ts'
import { Credentials } from './credentials.ts'
import { AuthError } from './errors.ts'
import { memorySessionStore } from './memory-session-store.ts'
import { type SessionStore, StoreUnavailable } from './ports.ts'
import { faults } from './testing/scripted-server.ts'
import { ANN, BOB, setStage, signedInStage } from './testing/stage.ts'
import type { User } from './user.ts'
import type { UserRecord } from './user-record.ts'

const account = Credentials.emailPassword(ANN.email, ANN.password)
const proof = { token: 't', tokenId: 'i' }

type Call = (app: App, user: User, signal: AbortSignal) => Promise<unknown>

/** Every public call that can wait for something, with a signal where it takes one. */
const calls: Readonly<Record<string, Call>> = {
  logIn: (app, _, signal) => app.logIn(account, { signal }),
  'logIn anonymous': (app, _, signal) => app.logIn(Credentials.anonymous(), { signal }),
  logOut: (app, _, signal) => app.logOut({ signal }),
  switchUser: (app, user, signal) => app.switchUser(user, { signal }),
  removeUser: (app, user, signal) => app.removeUser(user, { signal }),
  deleteUser: (app, user, signal) => app.deleteUser(user, { signal }),
  unlock: (app, _, signal) => app.unlock('pin', '1234', { signal }),
  registerUser: (app, _, signal) => app.emailPasswordAuth.registerUser({ email: 'c@d.e', password: 'p' }, { signal }),
  confirmUser: (app, _, signal) => app.emailPasswordAuth.confirmUser(proof, { signal }),
  resendConfirmationEmail: (app, _, signal) => app.emailPasswordAuth.resendConfirmationEmail({ email: 'c@d.e' }, { signal }),
  retryCustomConfirmation: (app, _, signal) => app.emailPasswordAuth.retryCustomConfirmation({ email: 'c@d.e' }, { signal }),
  sendResetPasswordEmail: (app, _, signal) => app.emailPasswordAuth.sendResetPasswordEmail({ email: 'c@d.e' }, { signal }),
  resetPassword: (app, _, signal) => app.emailPasswordAuth.resetPassword({ ...proof, password: 'p' }, { signal }),
  getAccessToken: (_, user, signal) => user.getAccessToken({ minValidityMs: 900_000, signal }),
  fetch: (_, user, signal) => user.fetch('https://api.example.org/report', { signal }),
  'user.logOut': (_, user, signal) => user.logOut({ signal }),
  refreshCustomData: (_, user, signal) => user.refreshCustomData({ signal }),
  linkCredentials: (_, user, signal) => user.linkCredentials(Credentials.emailPassword('c@d.e', 'p'), { signal }),
  changePassword: (_, user, signal) => user.changePassword({ current: 'a', next: 'b' }, { signal }),
  'apiKeys.create': (_, user, signal) => user.apiKeys.create('k', { signal }),
  'apiKeys.fetchAll': (_, user, signal) => user.apiKeys.fetchAll({ signal }),
  'sessions.list': (_, user, signal) => user.sessions.list({ signal }),
  'sessions.revokeOthers': (_, user, signal) => user.sessions.revokeOthers({ signal }),
}

/** Calls without options of their own. */
const plainCalls: Readonly<Record<string, Call>> = {
  lock: (app) => app.lock(),
  callFunction: (_, user) => user.callFunction('sum', 1, 2),
  'functions.sum': (_, user) => user.functions.sum?.(1, 2) ?? Promise.reject(new Error('No such function.')),
  callResetPasswordFunction: (app) => app.emailPasswordAuth.callResetPasswordFunction({ email: 'c@d.e', password: 'p' }),
}

async function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => 'resolved',
    (error: unknown) => error,
  )
}

/** A store that answers until it is told not to. */
function stoppableStore(store: SessionStore): { readonly store: SessionStore; hang(): void; fail(error: Error): void } {
  let fate: (() => Promise<never>) | undefined
  const guarded =
    <Args extends unknown[], T>(call: (...args: Args) => Promise<T>) =>
    (...args: Args): Promise<T> =>
      fate?.() ?? call(...args)
  return {
    hang: () => {
      fate = () => new Promise(() => {})
    },
    fail: (error) => {
      fate = () => Promise.reject(error)
    },
    store: {
      ...store,
      read: guarded(store.read),
      list: guarded(store.list),
      findByTag: guarded(store.findByTag),
      tag: guarded(store.tag),
      update: guarded(store.update),
      remove: guarded(store.remove),
      device: { read: guarded(store.device.read), update: guarded(store.device.update) },
    },
  }
}

describe('S14: every call takes a signal', () => {
  test.each(Object.entries(calls))('%s is `aborted` at once when its signal already is', async (_, call) => {
    const { device, app, user } = await signedInStage()

    const outcome = await device.resolve(outcomeOf(call(app, user, AbortSignal.abort(new Error('changed my mind')))))

    expect(outcome).toMatchObject({ name: 'AuthError', code: 'aborted', cause: { message: 'changed my mind' } })
    expect(app.currentUser).toBe(user)
  })

  test.each(Object.entries(calls))('%s ends when it is aborted while the server hangs', async (name, call) => {
    const { device, server, app, user } = await signedInStage()
    await device.pass({ minutes: 8 })
    server.everyAnswer((path) => (path === 'revoke' ? undefined : faults.hang))
    const abort = new AbortController()
    const asked = outcomeOf(call(app, user, abort.signal))
    await device.pass({ ms: 100 })
    const abortedAtMs = device.trueMs

    abort.abort(new Error('changed my mind'))
    const outcome = await device.resolve(asked)

    expect(device.trueMs - abortedAtMs).toBeLessThan(1_000)
    // What does not ask the server had come to its end before.
    const alone = ['logOut', 'user.logOut', 'removeUser', 'switchUser', 'unlock']
    if (!alone.includes(name)) expect(outcome).toMatchObject({ name: 'AuthError', code: 'aborted' })
  })
})

describe('S14: nothing waits for ever', () => {
  test.each(Object.entries({ ...calls, ...plainCalls }))('%s ends within the request timeout when the server hangs', async (_, call) => {
    const { device, server, app, user } = await signedInStage({ requestTimeoutMs: 4_000 })
    server.everyAnswer(() => faults.hang)
    const startedMs = device.trueMs

    const outcome = await device.resolve(outcomeOf(call(app, user, new AbortController().signal)))

    expect(device.trueMs - startedMs).toBeLessThan(12_000)
    if (outcome !== 'resolved') expect(outcome).toBeInstanceOf(AuthError)
  })

  test.each(Object.entries({ ...calls, ...plainCalls }))('%s ends when the store stops answering', async (_, call) => {
    const shaky = stoppableStore(memorySessionStore())
    const { device, app, user } = await signedInStage({ store: shaky.store })
    await device.pass({ seconds: 2 })
    shaky.hang()
    const startedMs = device.trueMs

    const outcome = await device.resolve(outcomeOf(call(app, user, new AbortController().signal)))

    expect(device.trueMs - startedMs).toBeLessThan(11_000)
    if (outcome !== 'resolved') expect(outcome).toBeInstanceOf(AuthError)
  })

  test('a frozen tab that holds the lock costs 5 s', async () => {
    const { device, server, openTab, signIn } = setStage()
    const [one, two] = [openTab(), openTab()]
    await signIn(one.app)
    server.nextAnswer(faults.hang, 'login')
    void one.app.logIn(Credentials.anonymous()).catch(() => {})
    await device.pass({ ms: 5 })
    one.tab.freeze()
    const startedMs = device.trueMs

    await device.resolve(two.app.logIn(Credentials.anonymous()))

    expect(device.trueMs - startedMs).toBeLessThan(7_000)
  })

  test('a store that fails is `storage-unavailable`, with its reason and cause, and nothing is shown as lost', async () => {
    const shaky = stoppableStore(memorySessionStore())
    const { device, app, user } = await signedInStage({ store: shaky.store })
    await device.pass({ seconds: 2 })
    const cause = new StoreUnavailable('storage-blocked', 'The database is closed.')
    shaky.fail(cause)

    await expect(device.resolve(user.getAccessToken())).rejects.toMatchObject({
      code: 'storage-unavailable',
      reason: 'storage-blocked',
      cause,
    })
    expect(app.authState.kind).toBe('signed-in')
  })
})

describe('S15: inside a subscriber', () => {
  const subscriptions: Readonly<Record<string, (app: App, user: User, act: () => void) => void>> = {
    authState$: (app, _, act) => void app.authState$.subscribe(act),
    allUsers$: (app, _, act) => void app.allUsers$.subscribe(act),
    events$: (app, _, act) => void app.events$.subscribe(act),
    syncSession$: (app, _, act) => void app.syncSession$.subscribe(act),
    'user.state$': (_, user, act) => void user.state$.subscribe(act),
  }

  test.each(
    Object.keys(subscriptions).flatMap((name) =>
      Object.entries({ ...calls, ...plainCalls }).map(([call, begin]) => [name, call, begin] as const),
    ),
  )('of %s: %s works', async (name, _, begin) => {
    const { device, app, user, signIn } = await signedInStage()
    let outcome: Promise<unknown> | undefined
    subscriptions[name]?.(app, user, () => {
      outcome ??= outcomeOf(begin(app, user, new AbortController().signal))
    })

    await signIn(app, BOB)
    await device.resolve(app.logOut()).catch(() => {})

    const result = await device.resolve(outcome ?? Promise.reject(new Error('Nobody was told.')))
    if (result !== 'resolved') expect(result).toBeInstanceOf(AuthError)
    expect(result).not.toMatchObject({ code: 'bug' })
  })

  test.each(Object.entries(calls))('a participant of a leave may call %s: it runs under no lock', async (_, begin) => {
    const { device, app, user } = await signedInStage()
    let outcome: Promise<unknown> | undefined
    let inside = false
    app.beforeLeave(async () => {
      if (inside) return undefined
      inside = true
      outcome = outcomeOf(begin(app, user, new AbortController().signal))
      await outcome
      return undefined
    })
    const startedMs = device.trueMs

    await device.resolve(app.logIn(Credentials.anonymous()))

    expect(device.trueMs - startedMs).toBeLessThan(5_000)
    const result = await outcome
    if (result !== 'resolved') expect(result).toBeInstanceOf(AuthError)
  })
})

test('S9: a session that is over, or logged out, is not reused', async () => {
  const { device, server, openTab } = setStage()
  const { app } = openTab()
  const first = await device.resolve(app.logIn(Credentials.anonymous()))
  server.revoke(first.id)
  await device.pass({ minutes: 20 })
  expect(app.authState).toMatchObject({ kind: 'login-required', canReturn: false })

  const second = await device.resolve(app.logIn(Credentials.anonymous()))
  expect(second.id).not.toBe(first.id)
  await device.resolve(app.logOut())

  expect((await device.resolve(app.logIn(Credentials.anonymous()))).id).not.toBe(second.id)
})

test("S9: a linked user is nobody's anonymous user any more", async () => {
  const { device, openTab } = setStage()
  const { app } = openTab()
  const guest = await device.resolve(app.logIn(Credentials.anonymous()))
  const { id } = guest
  await device.resolve(guest.linkCredentials(Credentials.emailPassword('guest@example.org', 'a password')))

  expect((await device.resolve(app.logIn(Credentials.anonymous()))).id).not.toBe(id)
  expect(guest.id).toBe(id)
})

describe('S10: a damaged record', () => {
  /** What a store gives for a record that it cannot open. */
  function damaging(store: SessionStore, isDamaged: (record: UserRecord) => boolean): SessionStore {
    const seen = <R extends UserRecord | null>(record: R): R =>
      record && isDamaged(record) ? { ...record, vault: { kind: 'damaged' } } : record
    return {
      ...store,
      read: async (key) => seen(await store.read(key)),
      list: async () => (await store.list()).map(seen),
      findByTag: async (tag) => seen(await store.findByTag(tag)),
    }
  }

  async function withAnnDamaged() {
    const stage = setStage()
    const first = stage.openTab()
    await stage.signIn(first.app, BOB)
    const ann = await stage.signIn(first.app, ANN)
    const { key } = ann
    first.tab.kill()
    const { app } = stage.openTab({ store: damaging(memorySessionStore(stage.shelf), (record) => record.key === key && record.epoch < 3) })
    await stage.device.resolve(app.ready)
    return { ...stage, app, key }
  }

  test('costs that one user and no other', async () => {
    const { device, app, bobId, key, shelf } = await withAnnDamaged()
    const bob = app.allUsers[bobId]

    expect(shelf.users.size).toBe(2)
    expect(app.allUsers[key]).toEqual({ key, label: ANN.email })
    await device.resolve(app.switchUser(bob ?? (Promise.reject(new Error('Bob is gone.')) as never)))
    expect(app.currentUser?.id).toBe(bobId)
    await expect(device.resolve((bob as User).getAccessToken())).resolves.toMatch(/^a\./)
    expect(shelf.users.size).toBe(2)
  })

  test('is mended by a log-in, under the same key', async () => {
    const { device, app, annId, key, signIn } = await withAnnDamaged()

    const ann = await signIn(app, ANN)

    expect(ann).toMatchObject({ id: annId, key })
    await expect(device.resolve(ann.getAccessToken())).resolves.toMatch(/^a\./)
  })

  test('can be removed', async () => {
    const { device, app, key, shelf } = await withAnnDamaged()

    await device.resolve(app.removeUser({ key }))

    expect([...shelf.users.keys()]).not.toContain(key)
  })
})

test('S10: a store that cannot be opened is `unavailable`, and nothing in it is touched', async () => {
  const { device, openTab, signIn, shelf } = setStage()
  const first = openTab()
  await signIn(first.app)
  first.tab.kill()
  const before = JSON.stringify([...shelf.users.values()])
  const store = memorySessionStore(shelf)
  const closed = { ...store, open: () => Promise.reject(new StoreUnavailable('newer-version', 'A later version wrote this.')) }

  const { app } = openTab({ store: closed })
  await device.resolve(app.ready)

  expect(app.authState).toEqual({ kind: 'unavailable', reason: 'newer-version' })
  await expect(device.resolve(app.logIn(account))).rejects.toMatchObject({ code: 'storage-unavailable', reason: 'newer-version' })
  expect(JSON.stringify([...shelf.users.values()])).toBe(before)
})

describe('S13: canaries', () => {
  const CANARY = 'canary-4711'

  test('occur in no error, event, URL, console line or serialised object, whatever fails', async () => {
    const { device, server, app, user } = await signedInStage()
    const told: unknown[] = []
    const written: unknown[] = []
    for (const level of ['log', 'info', 'warn', 'error', 'debug'] as const) {
      const original = console[level]
      console[level] = (...line: unknown[]) => void written.push(line)
      told.push(() => {
        console[level] = original
      })
    }
    app.events$.subscribe((event) => told.push(event))
    const attempts: (() => Promise<unknown>)[] = [
      () => app.logIn(Credentials.emailPassword(`${CANARY}@example.org`, CANARY)),
      () => app.logIn(Credentials.apiKey(CANARY)),
      () => app.logIn(Credentials.jwt(`${CANARY}.${CANARY}.${CANARY}`)),
      () => app.logIn(Credentials.function({ secret: CANARY })),
      () => app.logIn(Credentials.google({ authCode: CANARY })),
      () => app.emailPasswordAuth.registerUser({ email: 'c@d.e', password: CANARY }),
      () => app.emailPasswordAuth.resetPassword({ token: CANARY, tokenId: CANARY, password: CANARY }),
      () => user.changePassword({ current: CANARY, next: CANARY }),
      () => user.linkCredentials(Credentials.emailPassword('c@d.e', CANARY)),
      () => user.callFunction('sum', CANARY),
      () => user.fetch('https://evil.example', { headers: { 'X-Secret': CANARY } }),
      () => user.getAccessToken({ minValidityMs: 900_000 }),
    ]
    const evil = faults.json(400, { error: 'No.', code: 'teapot', access_token: CANARY, refresh_token: CANARY })
    for (const fault of [undefined, faults.networkError, faults.error500, faults.cutJson, faults.htmlLoginPage(200), faults.hang, evil]) {
      server.everyAnswer(() => fault)
      for (const attempt of attempts) told.push(await device.resolve(attempt()).catch((error: unknown) => error))
    }
    for (const restore of told.filter((thing) => typeof thing === 'function')) (restore as () => void)()

    const secrets = [...server.secrets, ANN.password, CANARY]
    const shown = [app, user, app.authState, app.allUsers, ...told, written].filter((thing) => typeof thing !== 'string')
    for (const thing of shown) {
      const text = inspect(thing, { depth: 12, showHidden: true }) + JSON.stringify(thing)
      for (const secret of secrets) expect(text).not.toContain(secret)
    }
    expect(told.filter((thing) => thing instanceof AuthError).length).toBeGreaterThan(50)
    for (const { path } of server.seen) for (const secret of secrets) expect(path).not.toContain(secret)
  })
})
