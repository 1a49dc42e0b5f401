import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { Credentials } from './credentials.ts'
import { type Fault, faults } from './testing/scripted-server.ts'
import { ANN, BOB, setStage, signedInStage, tokenOf } from './testing/stage.ts'

describe('log in', () => {
  test('makes the user current, with its profile', async () => {
    const { app, user, annId } = await signedInStage()

    expect(app.currentUser).toBe(user)
    expect(app.authState).toEqual({ kind: 'signed-in', user, access: 'fresh' })
    expect(user.id).toBe(annId)
    expect(user.profile).toEqual({ email: ANN.email })
    expect(app.allUsers[annId]).toBe(user)
  })

  test('a wrong password is `invalid-credentials` and changes nothing', async () => {
    const { device, openTab } = setStage()
    const { app } = openTab()

    const attempt = device.resolve(app.logIn(Credentials.emailPassword(ANN.email, 'wrong')))

    await expect(attempt).rejects.toMatchObject({ code: 'invalid-credentials' })
    expect(app.authState.kind).toBe('signed-out')
  })

  test('without a network it is `offline`', async () => {
    const { device, openTab } = setStage()
    const { app } = openTab()
    device.setOnline(false)

    await expect(device.resolve(app.logIn(Credentials.emailPassword(ANN.email, ANN.password)))).rejects.toMatchObject({ code: 'offline' })
  })

  test('S6: a failing profile neither fails the log-in nor leaves orphans', async () => {
    const { device, server, openTab, annId } = setStage()
    const { app } = openTab()
    server.nextAnswer(faults.error500, 'profile')

    const user = await device.resolve(app.logIn(Credentials.emailPassword(ANN.email, ANN.password)))

    expect(user.id).toBe(annId)
    expect(app.authState.kind).toBe('signed-in')
    expect(server.liveSessions(annId)).toBe(1)
  })
})

describe('restart', () => {
  test('S8: the current user is there again, without any request', async () => {
    const { device, server, openTab, signIn, annId } = setStage()
    const first = openTab()
    await signIn(first.app)
    first.tab.kill()
    device.setOnline(false)
    const before = server.seen.length

    const { app } = openTab()
    await device.resolve(app.ready)

    expect(app.currentUser?.id).toBe(annId)
    expect(app.authState.kind).toBe('signed-in')
    expect(server.seen.length).toBe(before)
  })
})

const failureAnswers: readonly (readonly [string, Fault])[] = [
  ['network error', faults.networkError],
  ['timeout', faults.hang],
  ['500', faults.error500],
  ['429', faults.throttled],
  ['cut JSON with 200', faults.cutJson],
  ['HTML with 403', faults.htmlLoginPage(403)],
  ['HTML with 200', faults.htmlLoginPage(200)],
]

describe('S1: only the token endpoint ends a session', () => {
  test.each(failureAnswers)('refresh meets %s, warm: the person stays signed in and the next refresh works', async (_, fault) => {
    const { device, server, app, user } = await signedInStage()
    server.everyAnswer((path) => (path === 'refresh' ? fault : undefined))
    await device.pass({ minutes: 20 })

    await expect(device.resolve(user.getAccessToken())).rejects.toMatchObject({ code: expect.stringMatching(/^(offline|server-busy)$/) })
    expect(app.authState.kind).toBe('signed-in')

    server.everyAnswer(undefined)
    await device.pass({ minutes: 6 })
    await expect(device.resolve(user.getAccessToken())).resolves.toMatch(/^a\./)
  })

  test.each(failureAnswers)('refresh meets %s, cold: the person is signed in after the restart', async (_, fault) => {
    const { device, server, openTab, signIn } = setStage()
    const first = openTab()
    await signIn(first.app)
    first.tab.kill()
    await device.pass({ minutes: 20 })
    server.everyAnswer((path) => (path === 'refresh' ? fault : undefined))

    const { app } = openTab()
    await device.resolve(app.ready)
    await device.pass({ minutes: 1 })

    expect(app.authState.kind).toBe('signed-in')
    await expect(device.resolve(tokenOf(app))).rejects.toMatchObject({
      code: expect.stringMatching(/^(offline|server-busy)$/),
    })
  })

  test('a 401 of another endpoint refreshes once, replays once, and ends nothing', async () => {
    const { device, server, app, user } = await signedInStage()
    server.everyAnswer((path) => (path === 'profile' ? faults.json(401, { error: 'No.', code: 'token_invalid' }) : undefined))
    const [refreshes, profiles] = [server.requests('refresh').length, server.requests('profile').length]

    await expect(device.resolve(user.refreshCustomData())).rejects.toMatchObject({ code: 'refused' })

    expect(server.requests('refresh').length - refreshes).toBe(1)
    expect(server.requests('profile').length - profiles).toBe(2)
    expect(app.authState.kind).toBe('signed-in')
  })
})

describe('S2: the end of a session', () => {
  test.each([
    ['expired', 'expired'],
    ['revoked', 'revoked'],
    ['user_disabled', 'disabled'],
    ['password_changed', 'credential-changed'],
    [undefined, 'unknown'],
  ])('%s makes `login-required/%s` and leaves user and data', async (code, reason) => {
    const ends: unknown[] = []
    const { device, server, app, user } = await signedInStage({ onLoginRequired: (event) => ends.push(event) })
    await device.pass({ minutes: 20 })
    server.nextAnswer(faults.invalidGrant(code), 'refresh')
    const other = device.resolve(user.getAccessToken({ minValidityMs: 600_000 })).catch(() => {})

    await device.pass({ minutes: 20 })
    await other

    expect(app.authState).toEqual({ kind: 'login-required', user, reason, canReturn: true })
    expect(app.currentUser).toBe(user)
    expect(user.profile.email).toBe(ANN.email)
    expect(ends).toEqual([{ reason, locked: false }])
  })

  test('is told once per tab, also to tabs opened later, and logging in again mends it', async () => {
    const { device, server, openTab, signIn, annId } = setStage()
    const told: string[] = []
    const one = openTab({ onLoginRequired: () => told.push('one') })
    await signIn(one.app)
    const two = openTab({ onLoginRequired: () => told.push('two') })
    server.revoke(annId)
    await device.pass({ minutes: 30 })
    const three = openTab({ onLoginRequired: () => told.push('three') })
    await device.resolve(three.app.ready)
    await device.pass({ minutes: 30 })

    expect(told.toSorted()).toEqual(['one', 'three', 'two'])
    expect(two.app.authState.kind).toBe('login-required')

    await signIn(two.app)
    await device.pass({ seconds: 1 })
    for (const { app } of [one, two, three]) expect(app.authState.kind).toBe('signed-in')
  })
})

describe('S3: one refresh per expiry', () => {
  test('100 callers in 5 tabs, an endpoint of 8 s: one request, 500 tokens', async () => {
    const { device, server, openTab, signIn } = setStage()
    const tabs = Array.from({ length: 5 }, () => openTab())
    await Promise.all(tabs.slice(0, 1).map(({ app }) => signIn(app)))
    for (const { app } of tabs) await device.resolve(app.ready)
    device.setOnline(false)
    await device.pass({ hours: 1 })
    device.setOnline(true)
    server.everyAnswer((path) => (path === 'refresh' ? faults.delay(8_000) : undefined))
    const before = server.requests('refresh').length
    const callers = tabs.flatMap(({ app }) => Array.from({ length: 100 }, () => tokenOf(app)))

    const tokens = await device.resolve(Promise.all(callers))

    expect(tokens).toHaveLength(500)
    expect(new Set(tokens).size).toBe(1)
    expect(server.requests('refresh').length - before).toBe(1)
  })

  test('a lock holder that shows no sign of life costs 5 s and one extra request', async () => {
    const { device, server, openTab, signIn } = setStage()
    const [one, two] = [openTab(), openTab()]
    await signIn(one.app)
    await device.resolve(two.app.ready)
    device.setOnline(false)
    await device.pass({ hours: 1 })
    device.setOnline(true)
    server.nextAnswer(faults.hang, 'refresh')
    void one.app.currentUser?.getAccessToken().catch(() => {})
    await device.pass({ ms: 1 })
    one.tab.freeze()
    const startedMs = device.trueMs

    await device.resolve(tokenOf(two.app))

    expect(device.trueMs - startedMs).toBeLessThan(7_000)
    expect(server.requests('refresh')).toHaveLength(1)
  })

  test('without locks between tabs: at most one request per tab, and all succeed', async () => {
    const { device, server, openTab, signIn } = setStage()
    device.locksAcrossTabs = false
    const tabs = Array.from({ length: 5 }, () => openTab())
    await Promise.all(tabs.slice(0, 1).map(({ app }) => signIn(app)))
    for (const { app } of tabs) await device.resolve(app.ready)
    device.setOnline(false)
    await device.pass({ hours: 1 })
    const before = server.requests('refresh').length
    device.setOnline(true)

    const tokens = await device.resolve(Promise.all(tabs.map(({ app }) => tokenOf(app))))

    expect(tokens).toHaveLength(5)
    expect(server.requests('refresh').length - before).toBeLessThanOrEqual(5)
    for (const { app } of tabs) expect(app.authState.kind).toBe('signed-in')
  })
})

describe('S4, S5: late answers', () => {
  test('S5: a refresh answered after the log-out writes nothing', async () => {
    const { device, server, app, user, shelf } = await signedInStage()
    device.setOnline(false)
    await device.pass({ hours: 1 })
    device.setOnline(true)
    server.nextAnswer(faults.delay(10_000), 'refresh')
    const late = user.getAccessToken().catch((error: unknown) => error)
    await device.pass({ ms: 50 })
    await device.resolve(app.logOut())

    await device.pass({ seconds: 30 })

    expect(await late).toMatchObject({ code: 'not-logged-in' })
    expect(app.authState.kind).toBe('signed-out')
    expect(JSON.stringify([...shelf.users.values()])).not.toMatch(/"a\.|v1\./)
  })

  test('S4: a refusal of an older generation ends nothing', async () => {
    const { device, server, openTab, signIn } = setStage()
    device.locksAcrossTabs = false
    const [one, two] = [openTab(), openTab()]
    await signIn(one.app)
    await device.resolve(two.app.ready)
    device.setOnline(false)
    await device.pass({ hours: 1 })
    server.everyAnswer((path) => (path === 'refresh' ? faults.networkError : undefined))
    device.setOnline(true)
    await device.pass({ seconds: 1 })
    server.everyAnswer(undefined)
    await device.pass({ minutes: 10 })
    const record = one.app.authState

    expect(record.kind).toBe('signed-in')
    expect(two.app.authState.kind).toBe('signed-in')
  })
})

describe('S5: log-out', () => {
  test('works offline, is final, and the server hears of it after a restart', async () => {
    const { device, server, openTab, signIn, annId } = setStage()
    const first = openTab()
    await signIn(first.app)
    device.setOnline(false)

    const result = await device.resolve(first.app.logOut())

    expect(result.revocation).toBe('queued')
    expect(first.app.authState.kind).toBe('signed-out')
    expect(server.liveSessions(annId)).toBe(1)
    first.tab.kill()
    device.setOnline(true)
    openTab()
    await device.pass({ seconds: 5 })
    expect(server.liveSessions(annId)).toBe(0)
    expect(server.requests('revoke')).toHaveLength(1)
  })

  test('online it is done at once', async () => {
    const { device, server, app, annId } = await signedInStage()

    expect(await device.resolve(app.logOut())).toMatchObject({ revocation: 'done' })
    expect(server.liveSessions(annId)).toBe(0)
  })

  test('a revocation that fails is delivered later', async () => {
    const { device, server, app, annId } = await signedInStage()
    server.nextAnswer(faults.error500, 'revoke')

    expect(await device.resolve(app.logOut())).toMatchObject({ revocation: 'queued' })
    await device.pass({ minutes: 5 })
    expect(server.liveSessions(annId)).toBe(0)
  })

  test('is refused while somebody holds writes that could not be opened again, and nothing has changed', async () => {
    const { device, server, app, user } = await signedInStage()
    app.beforeLeave(() => Promise.reject(Object.assign(new Error('3 writes'), { code: 'pending-writes', pending: 3 })))

    await expect(device.resolve(app.logOut())).rejects.toMatchObject({ code: 'pending-writes', pending: 3 })

    expect(app.currentUser).toBe(user)
    expect(server.requests('revoke')).toHaveLength(0)
    await expect(device.resolve(user.getAccessToken())).resolves.toMatch(/^a\./)
  })

  test('S14: a participant that never answers delays it by its deadline and 5 s, no more', async () => {
    const { device, app } = await signedInStage()
    app.beforeLeave(() => new Promise(() => {}))
    const startedMs = device.trueMs

    await device.resolve(app.logOut({ timeoutMs: 1_000 }))

    expect(device.trueMs - startedMs).toBeLessThan(7_000)
  })

  test('S16: reaches the other tab', async () => {
    const { device, openTab, signIn } = setStage()
    const [one, two] = [openTab(), openTab()]
    await signIn(one.app)
    await device.pass({ ms: 10 })
    expect(two.app.authState.kind).toBe('signed-in')

    await device.resolve(one.app.logOut())
    await device.pass({ ms: 10 })

    expect(two.app.authState.kind).toBe('signed-out')
  })

  test('S7: nobody becomes current in place of the one who left', async () => {
    const { device, openTab, signIn } = setStage()
    const { app } = openTab()
    await signIn(app, BOB)
    await signIn(app, ANN)

    await device.resolve(app.logOut())

    expect(app.currentUser).toBeNull()
    expect(Object.keys(app.allUsers)).toHaveLength(2)
  })
})

describe('several users', () => {
  test('S8: a switch survives a restart; a logged-out user cannot be switched to', async () => {
    const { device, openTab, signIn, annId, bobId } = setStage()
    const { app, tab } = openTab()
    const ann = await signIn(app, ANN)
    const bob = await signIn(app, BOB)
    await device.resolve(app.switchUser(ann))
    tab.kill()
    const next = openTab()
    await device.resolve(next.app.ready)
    expect(next.app.currentUser?.id).toBe(annId)

    await device.resolve(next.app.logOut({ user: next.app.allUsers[bobId] as typeof bob }))
    const refused = device.resolve(next.app.switchUser(next.app.allUsers[bobId] as typeof bob))

    await expect(refused).rejects.toMatchObject({ code: 'not-logged-in' })
    expect(next.app.currentUser?.id).toBe(annId)
  })

  test('S9: anonymous log-ins in two tabs make one user, also after a restart', async () => {
    const { device, server, openTab } = setStage()
    const [one, two] = [openTab(), openTab()]

    const users = await device.resolve(Promise.all([one.app.logIn(Credentials.anonymous()), two.app.logIn(Credentials.anonymous())]))

    expect(users[0].id).toBe(users[1].id)
    expect(server.liveSessions(users[0].id)).toBe(1)
    one.tab.kill()
    two.tab.kill()
    const { app } = openTab()
    expect((await device.resolve(app.logIn(Credentials.anonymous()))).id).toBe(users[0].id)
    expect((await device.resolve(app.logIn(Credentials.anonymous({ reuse: false })))).id).not.toBe(users[0].id)
  })

  test('S9: without locks between tabs the loser of the race gives its grant back', async () => {
    const { device, server, openTab } = setStage()
    device.locksAcrossTabs = false
    const [one, two] = [openTab(), openTab()]
    server.nextAnswer(faults.delay(1_000), 'login')

    const users = await device.resolve(Promise.all([one.app.logIn(Credentials.anonymous()), two.app.logIn(Credentials.anonymous())]))
    await device.pass({ seconds: 5 })

    expect(users[0].id).toBe(users[1].id)
    expect(server.liveSessions()).toBe(1)
  })
})

describe('the server clock', () => {
  test.each([
    ['a day fast', 86_400_000],
    ['a day slow', -86_400_000],
    ['ten years fast', 3_650 * 86_400_000],
    ['ten years slow', -3_650 * 86_400_000],
  ])('S11: a device %s asks once per token life and never ends', async (_, wallOffsetMs) => {
    const { device, server, openTab, signIn } = setStage()
    device.wallOffsetMs = wallOffsetMs
    const { app } = openTab()
    await signIn(app)

    await device.pass({ hours: 3 })

    expect(app.authState.kind).toBe('signed-in')
    expect(server.requests('refresh').length).toBeLessThanOrEqual(3 * 5)
    expect(server.requests('refresh').length).toBeGreaterThanOrEqual(3 * 4)
  })

  test('S11: a jump of the clock costs at most one refresh', async () => {
    const { device, server, app } = await signedInStage()
    await device.pass({ minutes: 1 })
    const before = server.requests('refresh').length

    device.wallOffsetMs = 40 * 365 * 86_400_000
    await device.pass({ seconds: 2 })
    await device.resolve(tokenOf(app))
    device.wallOffsetMs = 0
    await device.pass({ seconds: 2 })
    await device.resolve(tokenOf(app))

    expect(server.requests('refresh').length - before).toBeLessThanOrEqual(2)
    expect(app.authState.kind).toBe('signed-in')
  })

  test('S12: after a month asleep the session is refreshed within a second of waking', async () => {
    const { device, server, app } = await signedInStage()
    await device.sleep({ days: 30 })
    const before = server.requests('refresh').length

    await device.pass({ ms: 1_000 })

    expect(server.requests('refresh').length - before).toBe(1)
    expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
  })
})

describe('S13, S15', () => {
  test('S13: no secret in what is serialised, inspected, thrown or told', async () => {
    const { device, server, app, user } = await signedInStage()
    const told: unknown[] = []
    app.events$.subscribe((event) => told.push(event))
    server.nextAnswer(faults.error500, 'refresh')
    await device.pass({ minutes: 20 })
    const error = await device.resolve(app.logIn(Credentials.emailPassword(ANN.email, 'wrong-password-canary'))).catch((e: unknown) => e)
    await device.resolve(app.logOut())

    const seen = [app, user, error, told, app.authState, app.allUsers]
      .map((thing) => inspect(thing, { depth: 9 }) + JSON.stringify(thing))
      .join()

    for (const secret of [...server.secrets, ANN.password, 'wrong-password-canary']) expect(seen).not.toContain(secret)
  })

  test('S15: a subscriber may call anything, and one that throws changes nothing', async () => {
    const { device, openTab, signIn } = setStage()
    const { app } = openTab()
    const kinds: string[] = []
    app.authState$.subscribe((state) => {
      kinds.push(state.kind)
      if (state.kind === 'signed-in' && kinds.filter((kind) => kind === 'signed-in').length === 1) void app.logOut()
    })

    await signIn(app)
    await device.pass({ seconds: 10 })

    expect(kinds).toEqual(['restoring', 'signed-out', 'signed-in', 'signed-out'])
  })
})
