import { describe, expect, test } from 'vitest'
import { faults } from './testing/scripted-server.ts'
import { setStage, signedInStage, tokenOf } from './testing/stage.ts'

const DAY_MS = 86_400_000
const YEAR_MS = 365 * DAY_MS

const wrongClocks: readonly (readonly [string, number])[] = [
  ['a day fast', DAY_MS],
  ['a day slow', -DAY_MS],
  ['ten years fast', 10 * YEAR_MS],
  ['ten years slow', -10 * YEAR_MS],
]

/** Milliseconds of life a token of the scripted server has left, by the server's clock. */
function lifeLeftMs(token: string, trueMs: number): number {
  return Number(token.split('.')[3]) - trueMs
}

describe.each(wrongClocks)('S11: on a device that is %s', (_, wallOffsetMs) => {
  test('no token is handed out with less life than was asked for, over an hour of use', async () => {
    const { device, openTab, signIn } = setStage()
    device.wallOffsetMs = wallOffsetMs
    const { app } = openTab()
    const user = await signIn(app)

    for (let minute = 0; minute < 60; minute += 1) {
      expect(lifeLeftMs(await device.resolve(tokenOf(app)), device.trueMs)).toBeGreaterThanOrEqual(30_000)
      const long = await device.resolve(user.getAccessToken({ minValidityMs: 5 * 60_000 }))
      expect(lifeLeftMs(long, device.trueMs)).toBeGreaterThanOrEqual(5 * 60_000)
      await device.pass({ minutes: 1 })
    }
  })

  test('a restart makes no request and ends nothing', async () => {
    const { device, server, openTab, signIn } = setStage()
    device.wallOffsetMs = wallOffsetMs
    const first = openTab()
    await signIn(first.app)
    first.tab.kill()
    const before = server.seen.length

    const { app } = openTab()
    await device.resolve(app.ready)
    await device.pass({ seconds: 5 })

    expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
    expect(server.seen.length).toBe(before)
  })
})

test('S11: one boot in 2099, then back: one refresh for each, and nobody is logged out', async () => {
  const { device, server, openTab, signIn } = setStage()
  const first = openTab()
  await signIn(first.app)
  first.tab.kill()
  const before = server.requests('refresh').length

  device.wallOffsetMs = 73 * YEAR_MS
  const second = openTab()
  await device.resolve(second.app.ready)
  await device.resolve(tokenOf(second.app))
  expect(second.app.authState.kind).toBe('signed-in')
  second.tab.kill()

  device.wallOffsetMs = 0
  const third = openTab()
  await device.resolve(third.app.ready)
  await device.resolve(tokenOf(third.app))

  expect(third.app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
  expect(server.requests('refresh').length - before).toBeLessThanOrEqual(2)
})

test.each(wrongClocks)(
  'S11: a clock that is set %s while the app runs costs one refresh at most, and renewal ahead of need goes on',
  async (_, jumpMs) => {
    const { device, server, app } = await signedInStage()
    const before = server.requests('refresh').length

    device.wallOffsetMs = jumpMs
    const token = await device.resolve(tokenOf(app))
    await device.pass({ seconds: 10 })

    expect(lifeLeftMs(token, device.trueMs)).toBeGreaterThan(30_000)
    expect(server.requests('refresh').length - before).toBeLessThanOrEqual(1)
    await device.pass({ hours: 2 })
    expect(server.requests('refresh').length - before).toBeLessThanOrEqual(1 + 2 * 5)
    expect(server.requests('refresh').length - before).toBeGreaterThanOrEqual(2 * 4)
  },
)

test('S11: a restart with the date set back ten years renews ahead of need all the same', async () => {
  const { device, server, openTab, signIn, annId } = setStage()
  const first = openTab()
  await signIn(first.app)
  first.tab.kill()
  device.wallOffsetMs = -10 * YEAR_MS
  const { app } = openTab()
  await device.resolve(app.ready)
  server.revoke(annId, 'user_disabled')

  await device.pass({ minutes: 20 })

  expect(app.authState).toMatchObject({ kind: 'login-required', reason: 'disabled' })
})

test('S11: a device that jumps about every minute makes no more than one refresh per jump', async () => {
  const { device, server, app } = await signedInStage()
  const before = server.requests('refresh').length

  for (let jump = 1; jump <= 20; jump += 1) {
    device.wallOffsetMs = (jump % 2 === 0 ? -1 : 1) * jump * 30 * DAY_MS
    await device.pass({ minutes: 1 })
    await device.resolve(tokenOf(app))
  }

  expect(server.requests('refresh').length - before).toBeLessThanOrEqual(22)
  expect(app.authState.kind).toBe('signed-in')
})

test('S11: a token of ten years sets no timer that fires at once', async () => {
  const { device, server, openTab, signIn } = setStage()
  server.accessLifeMs = 10 * YEAR_MS
  const { app } = openTab()
  await signIn(app)

  await device.pass({ days: 60 })

  expect(server.requests('refresh')).toHaveLength(0)
  expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
})

test('S11: a token of two seconds is renewed once per life and not in a loop', async () => {
  const { device, server, openTab, signIn } = setStage()
  server.accessLifeMs = 2_000
  const { app } = openTab()
  await signIn(app)

  await device.pass({ minutes: 1 })

  expect(server.requests('refresh').length).toBeLessThanOrEqual(60)
})

test('S11: who asks for more life than the renewal under way was begun for gets it', async () => {
  const { device, server, user } = await signedInStage()
  await device.pass({ minutes: 10 })
  const asked = [30_000, 400_000].map((minValidityMs) => user.getAccessToken({ minValidityMs }))

  const [, long = ''] = await device.resolve(Promise.all(asked))

  expect(lifeLeftMs(long, device.trueMs)).toBeGreaterThanOrEqual(400_000)
  expect(server.requests('refresh')).toHaveLength(1)
})

test('S11: a renewal that a log-in overtook, answered after a month asleep, hands out no dead token', async () => {
  const { device, server, app, user, signIn } = await signedInStage()
  await device.sleep({ days: 30 })
  server.nextAnswer(faults.delay(8_000), 'refresh')
  await device.pass({ ms: 400 })
  await signIn(app)
  await device.sleep({ days: 30 })

  const token = await device.resolve(user.getAccessToken())

  expect(lifeLeftMs(token, device.trueMs)).toBeGreaterThanOrEqual(30_000)
})

describe('S12: what wakes a stale session', () => {
  test.each(['visible', 'resumed', 'page-shown'] as const)(
    '%s refreshes it within a second and forgets what failed before',
    async (signal) => {
      const { device, server, tab, app } = await signedInStage()
      server.everyAnswer((path) => (path === 'refresh' ? faults.error500 : undefined))
      await device.pass({ hours: 2 })
      await expect(device.resolve(tokenOf(app))).rejects.toMatchObject({ code: 'server-busy' })
      server.everyAnswer(undefined)
      const before = server.requests('refresh').length

      tab.tellLifecycle(signal)
      await device.pass({ ms: 1_250 })

      expect(server.requests('refresh').length - before).toBe(1)
      expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
    },
  )

  test('online does it too', async () => {
    const { device, server, app } = await signedInStage()
    device.setOnline(false)
    await device.pass({ days: 3 })
    expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'offline' })
    const before = server.requests('refresh').length

    device.setOnline(true)
    await device.pass({ ms: 1_250 })

    expect(server.requests('refresh').length - before).toBe(1)
    expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
  })

  test('five tabs that wake together make one request', async () => {
    const { device, server, openTab, signIn } = setStage()
    const tabs = Array.from({ length: 5 }, () => openTab())
    const [first] = tabs
    if (first) await signIn(first.app)
    device.setOnline(false)
    await device.pass({ hours: 5 })

    device.setOnline(true)
    await device.pass({ seconds: 3 })

    expect(server.requests('refresh')).toHaveLength(1)
    for (const { app } of tabs) expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
  })

  test('a fresh session is left alone', async () => {
    const { device, server, tab } = await signedInStage()
    const before = server.requests('refresh').length

    for (const signal of ['hidden', 'visible', 'frozen', 'resumed', 'page-hidden', 'page-shown'] as const) tab.tellLifecycle(signal)
    await device.pass({ seconds: 5 })

    expect(server.requests('refresh').length - before).toBe(0)
  })
})

describe('S3: the holder of the lock', () => {
  async function expiredInTabs(count: number) {
    const stage = setStage()
    const tabs = Array.from({ length: count }, () => stage.openTab())
    const [first] = tabs
    if (first) await stage.signIn(first.app)
    for (const { app } of tabs) await stage.device.resolve(app.ready)
    stage.device.setOnline(false)
    await stage.device.pass({ hours: 1 })
    stage.server.everyAnswer((path) => (path === 'refresh' ? faults.delay(8_000) : undefined))
    stage.device.setOnline(true)
    return { ...stage, tabs }
  }

  test('dies: the next one repeats its attempt, and nobody is logged out', async () => {
    const { device, server, tabs, annId } = await expiredInTabs(2)
    const [one, two] = tabs as [(typeof tabs)[0], (typeof tabs)[0]]
    void tokenOf(one.app).catch(() => {})
    await device.pass({ seconds: 2 })
    one.tab.kill()

    await expect(device.resolve(tokenOf(two.app))).resolves.toMatch(/^a\./)

    expect(server.liveSessions(annId)).toBe(1)
    expect(server.reuses).toBe(0)
    const attempts = server.requests('refresh').map(({ body }) => (body as { attempt_id: string }).attempt_id)
    expect(new Set(attempts).size).toBe(1)
  })

  test('freezes with its answer on the way: whoever waits is served within 7 s, and the frozen tab adopts it', async () => {
    const { device, server, tabs } = await expiredInTabs(2)
    const [one, two] = tabs as [(typeof tabs)[0], (typeof tabs)[0]]
    const late = tokenOf(one.app)
    late.catch(() => {})
    await device.pass({ ms: 500 })
    one.tab.freeze()
    server.everyAnswer(undefined)
    const startedMs = device.trueMs

    const served = await device.resolve(tokenOf(two.app))

    expect(device.trueMs - startedMs).toBeLessThan(7_000)
    one.tab.thaw()
    await device.pass({ seconds: 20 })
    expect(await device.resolve(tokenOf(one.app))).toBe(served)
    expect(server.reuses).toBe(0)
  })

  test('is heard although messages are slow', async () => {
    const { device, server, tabs } = await expiredInTabs(3)
    device.channelLagMs = 2_000

    const tokens = await device.resolve(Promise.all(tabs.map(({ app }) => tokenOf(app))))

    expect(new Set(tokens).size).toBe(1)
    expect(server.requests('refresh')).toHaveLength(1)
  })

  test('is not heard because messages get lost: at most one request each, and all succeed', async () => {
    const { device, server, tabs } = await expiredInTabs(3)
    device.channelLagMs = Number.POSITIVE_INFINITY

    await device.resolve(Promise.all(tabs.map(({ app }) => tokenOf(app))))

    expect(server.requests('refresh').length).toBeLessThanOrEqual(3)
    expect(server.reuses).toBe(0)
    for (const { app } of tabs) expect(app.authState.kind).toBe('signed-in')
  })
})
