import { describe, expect, test } from 'vitest'
import type { AppOptions } from './app.ts'
import { Credentials } from './credentials.ts'
import { FakeVaultDevice } from './testing/fake-vault.ts'
import { faults } from './testing/scripted-server.ts'
import { ANN, BOB, setStage, tokenOf } from './testing/stage.ts'

const annsSecret = Credentials.emailPassword(ANN.email, ANN.password)

/** A device whose users can be locked. */
function lockableStage(stay: FakeVaultDevice['stay'] = 'device') {
  const stage = setStage()
  const disk = new FakeVaultDevice()
  disk.stay = stay
  const openTab = (options: Partial<AppOptions> = {}) => {
    const { store, vault } = disk.openTab()
    return { ...stage.openTab({ store, vault, ...options }), vault }
  }
  return { ...stage, disk, openTab }
}

/** Ann has been here, logged out, and the network is gone. */
async function annWasHere(stay?: FakeVaultDevice['stay']) {
  const stage = lockableStage(stay)
  const first = stage.openTab()
  await stage.signIn(first.app)
  await stage.device.resolve(first.app.logOut())
  first.tab.kill()
  stage.device.setOnline(false)
  return stage
}

describe('log-in without the server', () => {
  test('opens what is on the device with the person’s own secret; there is no token yet', async () => {
    const { device, openTab, annId } = await annWasHere()
    const { app } = openTab()

    const user = await device.resolve(app.logIn(annsSecret))

    expect(user.id).toBe(annId)
    expect(app.authState).toEqual({ kind: 'signed-in', user, access: 'unverified' })
    await expect(device.resolve(tokenOf(app))).rejects.toMatchObject({ code: 'offline' })
  })

  test('is verified as soon as the server answers', async () => {
    const { device, openTab } = await annWasHere()
    const { app } = openTab()
    await device.resolve(app.logIn(annsSecret))

    device.setOnline(true)
    await device.pass({ seconds: 2 })

    expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
    await expect(device.resolve(tokenOf(app))).resolves.toMatch(/^a\./)
  })

  test('a password that was changed elsewhere ends in `credential-changed`, and the data stays open', async () => {
    const ends: unknown[] = []
    const { device, server, openTab } = await annWasHere()
    const { app } = openTab({ onLoginRequired: ({ reason }) => ends.push(reason) })
    const user = await device.resolve(app.logIn(annsSecret))
    server.everyAnswer((path) => (path === 'login' ? faults.json(401, { error: 'No.', code: 'invalid_credentials' }) : undefined))

    device.setOnline(true)
    await device.pass({ minutes: 1 })

    expect(app.authState).toEqual({ kind: 'login-required', user, reason: 'credential-changed', canReturn: true })
    expect(user.profile.email).toBe(ANN.email)
    expect(ends).toEqual(['credential-changed'])
    expect(server.requests('login').length - 1).toBe(1)
  })

  test('after 15 minutes without an answer the credentials are forgotten: `unverified`', async () => {
    const { device, server, openTab } = await annWasHere()
    const { app } = openTab()
    await device.resolve(app.logIn(annsSecret))
    const before = server.requests('login').length

    await device.pass({ minutes: 16 })
    device.setOnline(true)
    await device.pass({ hours: 1 })

    expect(app.authState).toMatchObject({ kind: 'login-required', reason: 'unverified' })
    expect(server.requests('login')).toHaveLength(before)
  })

  test('a restart ends it as `unverified`: no secret was kept', async () => {
    const { device, openTab, disk } = await annWasHere()
    const { app, tab } = openTab()
    await device.resolve(app.logIn(annsSecret))
    tab.kill()

    const next = openTab()
    await device.resolve(next.app.ready)
    await device.pass({ seconds: 10 })

    expect(next.app.authState).toMatchObject({ kind: 'login-required', reason: 'unverified' })
    expect(JSON.stringify([...disk.shelf.users.values()])).not.toContain(ANN.password)
  })

  test('a second tab shows the same, and does not end it while the first asks', async () => {
    const { device, openTab } = await annWasHere()
    const { app } = openTab()
    await device.resolve(app.logIn(annsSecret))

    const other = openTab()
    await device.resolve(other.app.ready)
    await device.pass({ seconds: 10 })
    expect(other.app.authState).toMatchObject({ kind: 'signed-in', access: 'unverified' })

    device.setOnline(true)
    await device.pass({ seconds: 2 })
    expect(other.app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
  })

  test('S5: a log-out before the server answered is final, and the late grant is given back', async () => {
    const { device, server, openTab, annId } = await annWasHere()
    const { app } = openTab()
    await device.resolve(app.logIn(annsSecret))
    server.nextAnswer(faults.delay(5_000), 'login')
    device.setOnline(true)
    await device.pass({ ms: 100 })

    await device.resolve(app.logOut())
    await device.pass({ minutes: 1 })

    expect(app.authState.kind).toBe('signed-out')
    expect(server.liveSessions(annId)).toBe(0)
  })

  test('wrong secret and unknown person are one refusal; on an unused device the first log-in needs the network', async () => {
    const { device, openTab } = await annWasHere()
    const { app } = openTab()

    await expect(device.resolve(app.logIn(Credentials.emailPassword(ANN.email, 'wrong')))).rejects.toMatchObject({
      code: 'offline-login-failed',
      attemptsLeft: 9,
    })
    await expect(device.resolve(app.logIn(Credentials.emailPassword('eve@example.org', 'x')))).rejects.toMatchObject({
      code: 'offline-login-failed',
    })

    const unused = lockableStage()
    unused.device.setOnline(false)
    await expect(unused.device.resolve(unused.openTab().app.logIn(annsSecret))).rejects.toMatchObject({ code: 'first-login-needs-network' })
  })

  test('a server that answers decides: its refusal is not overruled by what the device remembers', async () => {
    const { device, server, openTab } = await annWasHere()
    device.setOnline(true)
    server.nextAnswer(faults.json(401, { error: 'No.', code: 'invalid_credentials' }), 'login')
    const { app } = openTab()

    await expect(device.resolve(app.logIn(annsSecret))).rejects.toMatchObject({ code: 'invalid-credentials' })
    expect(app.authState.kind).toBe('signed-out')
  })

  test('a slow server: in after 4 s, verified by the answer that was on its way', async () => {
    const { device, server, openTab } = await annWasHere()
    device.setOnline(true)
    const { app } = openTab()
    await device.resolve(app.ready)
    const before = server.requests('login').length
    server.nextAnswer(faults.delay(9_000), 'login')
    const startedMs = device.trueMs

    await device.resolve(app.logIn(annsSecret))

    expect(device.trueMs - startedMs).toBeGreaterThanOrEqual(4_000)
    expect(device.trueMs - startedMs).toBeLessThan(4_500)
    expect(app.authState).toMatchObject({ access: 'unverified' })
    await device.pass({ seconds: 6 })
    expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
    expect(server.requests('login').length - before).toBe(1)
  })
})

describe('locks', () => {
  test('S8: `stay: unlock` starts locked, in every new tab, and the secret opens it without a request', async () => {
    const { device, server, openTab, signIn } = lockableStage('unlock')
    const first = openTab()
    const ann = await signIn(first.app)
    first.tab.kill()
    device.setOnline(false)
    const before = server.seen.length

    const { app } = openTab()
    await device.resolve(app.ready)
    expect(app.authState).toMatchObject({ kind: 'locked', why: 'start', methods: ['password'], session: { kind: 'kept' } })
    expect(app.currentUser).toBeNull()
    await expect(device.resolve(app.unlock('password', 'wrong'))).rejects.toMatchObject({ code: 'unlock-failed', reason: 'wrong-secret' })
    expect(app.authState).toMatchObject({ kind: 'locked', attemptsLeft: 9 })
    const user = await device.resolve(app.unlock('password', ANN.password))

    expect(user.id).toBe(ann.id)
    expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
    expect(server.seen.length).toBe(before)
  })

  test('S16: a lock in one tab locks the other', async () => {
    const { device, openTab, signIn } = lockableStage()
    const [one, two] = [openTab(), openTab()]
    await signIn(one.app)
    await device.pass({ ms: 10 })

    await device.resolve(one.app.lock())
    await device.pass({ ms: 10 })

    expect(one.app.authState).toMatchObject({ kind: 'locked', why: 'explicit' })
    expect(two.app.authState.kind).toBe('locked')
    await expect(device.resolve(tokenOf(two.app))).rejects.toThrow('Nobody')
  })

  test('a user that nothing but the device opens cannot be locked', async () => {
    const { device, openTab } = lockableStage()
    const { app } = openTab()
    await device.resolve(app.logIn(Credentials.anonymous()))

    await expect(device.resolve(app.lock())).rejects.toMatchObject({ code: 'no-unlock-method' })
    expect(app.authState.kind).toBe('signed-in')
  })

  test('a locked user can be logged out, and the server hears of it (S5)', async () => {
    const { device, server, openTab, signIn, annId } = lockableStage()
    const { app } = openTab()
    await signIn(app)
    await device.resolve(app.lock())

    await device.resolve(app.logOut())

    expect(app.authState.kind).toBe('signed-out')
    expect(server.liveSessions(annId)).toBe(0)
  })

  test('an idle user is locked after what takes part had its say', async () => {
    const { device, openTab, signIn } = lockableStage()
    const { app, vault } = openTab()
    const user = await signIn(app)
    const asked: unknown[] = []
    app.beforeLeave(async ({ reason, unsynced }) => {
      asked.push({ reason, unsynced })
      return undefined
    })

    vault.changes$.next({ key: user.key, why: 'idle' })
    await device.pass({ seconds: 1 })

    expect(asked).toEqual([{ reason: 'lock', unsynced: 'upload' }])
    expect(app.authState).toMatchObject({ kind: 'locked', why: 'idle' })
  })

  test('S8: switching to a locked user shows the lock, and unlocking it makes it current', async () => {
    const { device, openTab, signIn, bobId } = lockableStage('unlock')
    const { app } = openTab()
    await signIn(app, BOB)
    await signIn(app, ANN)
    const bob = Object.values(app.allUsers).find((user) => !('id' in user) || user.id === bobId)
    if (!bob) throw new Error('Bob is not on this device.')

    await device.resolve(app.switchUser(bob))

    expect(app.authState).toMatchObject({ kind: 'locked', user: { key: bob.key } })
    const user = await device.resolve(app.unlock('password', BOB.password))
    expect(user.id).toBe(bobId)
    expect(app.currentUser).toBe(user)
  })
})

describe('when the server shuts somebody out', () => {
  test.each([
    ['user_disabled', 'disabled'],
    ['user_deleted', 'deleted'],
    ['revoked', 'revoked'],
    ['reuse', 'reuse'],
  ])('%s locks what is open, and says why', async (code, reason) => {
    const ends: unknown[] = []
    const { device, server, openTab, signIn } = lockableStage()
    const { app } = openTab({ onLoginRequired: (event) => ends.push(event) })
    await signIn(app)
    server.revoke(undefined, code)

    await device.pass({ minutes: 20 })

    expect(app.authState).toMatchObject({ kind: 'locked', why: 'session-over', session: { kind: 'over', reason }, methods: ['password'] })
    expect(ends).toEqual([{ reason, locked: false }])
  })

  test('`device-wiped` takes the user off the device', async () => {
    const { device, server, disk, openTab, signIn } = lockableStage()
    const { app } = openTab()
    await signIn(app)
    server.revoke(undefined, 'device_wiped')

    await device.pass({ minutes: 20 })

    expect(app.authState.kind).toBe('signed-out')
    expect(disk.shelf.users.size).toBe(0)
  })

  test('the app’s own policy is heeded', async () => {
    const { device, server, openTab, signIn } = lockableStage()
    const { app } = openTab({ onSessionOver: () => 'stay-open' })
    await signIn(app)
    server.revoke(undefined, 'user_disabled')

    await device.pass({ minutes: 20 })

    expect(app.authState).toMatchObject({ kind: 'login-required', reason: 'disabled' })
  })
})
