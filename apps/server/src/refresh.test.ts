import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer, testEngines } from './testing/test-server.ts'

describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer

  beforeAll(async () => {
    server = await startTestServer({ engine, lifetimes: { sessionIdleS: 60 * 86_400, sessionAbsoluteS: 180 * 86_400 } })
  }, 60_000)
  afterAll(() => server.close())

  const isOver = (code: string) => ({ status: 400, body: { error: 'invalid_grant', code } })

  test('rotates, and the new pair works', async () => {
    const first = await server.client.newAccount()
    const second = await server.client.refreshed(first.refresh_token, randomUUID())

    expect(second.session_id).toBe(first.session_id)
    expect(second.refresh_token).not.toBe(first.refresh_token)
    expect((await server.client.get('/v1/auth/profile', second.access_token)).status).toBe(200)
    expect((await server.client.refresh(second.refresh_token)).status).toBe(200)
  })

  test('fifty refreshes at once make one new token and no error', async () => {
    const { refresh_token } = await server.client.newAccount()

    const answers = await Promise.all(Array.from({ length: 50 }, () => server.client.refreshed(refresh_token, randomUUID())))

    expect(new Set(answers.map((answer) => answer.refresh_token)).size).toBe(1)
  })

  test('S3: a lost answer is given again 20 days later, with or without an attempt id', async () => {
    for (const attemptId of [randomUUID(), undefined]) {
      const { refresh_token } = await server.client.newAccount()
      const lost = await server.client.refreshed(refresh_token, attemptId)

      server.pass({ days: 20 })

      const again = await server.client.refreshed(refresh_token, attemptId)
      expect(again.refresh_token).toBe(lost.refresh_token)
      expect(again.session_idle_ends_at_ms).toBe(lost.session_idle_ends_at_ms)
    }
  })

  test('a generic client may repeat itself for 30 seconds, even after it used the new pair', async () => {
    const first = await server.client.newAccount()
    const second = await server.client.refreshed(first.refresh_token)
    await server.client.get('/v1/auth/profile', second.access_token)

    server.pass({ seconds: 25 })

    expect((await server.client.refreshed(first.refresh_token)).refresh_token).toBe(second.refresh_token)
  })

  test('an old token in other hands ends that session only', async () => {
    const victim = await server.client.newAccount()
    const otherDevice = await server.client.logIn(victim.email, victim.password)
    const second = await server.client.refreshed(victim.refresh_token, randomUUID())
    await server.client.get('/v1/auth/profile', second.access_token) // the new pair has arrived
    server.pass({ minutes: 1 })

    expect(await server.client.refresh(victim.refresh_token, randomUUID())).toMatchObject(isOver('reuse'))

    expect(await server.client.refresh(second.refresh_token)).toMatchObject(isOver('reuse'))
    expect(await server.client.get('/v1/auth/profile', second.access_token)).toMatchObject({
      status: 401,
      body: { code: 'session_revoked' },
    })
    expect((await server.client.refresh(otherDevice.refresh_token)).status).toBe(200)
  })

  test('S4: a request that a proxy delivers 50 minutes late is superseded, and the session lives', async () => {
    const first = await server.client.newAccount()
    const lateAttempt = randomUUID()
    const second = await server.client.refreshed(first.refresh_token, lateAttempt)
    const third = await server.client.refreshed(second.refresh_token, randomUUID())
    server.pass({ minutes: 50 })

    expect(await server.client.refresh(first.refresh_token, lateAttempt)).toMatchObject({ status: 409, body: { code: 'superseded' } })

    expect((await server.client.refresh(third.refresh_token)).status).toBe(200)
  })

  test('a wrong MAC and an unknown session are refused without a code and change nothing', async () => {
    const { refresh_token } = await server.client.newAccount()
    const [v, kid, sid, rotation, mac = ''] = refresh_token.split('.')
    const flipped = mac.startsWith('A') ? `B${mac.slice(1)}` : `A${mac.slice(1)}`
    const forged = [
      [v, kid, sid, rotation, flipped],
      [v, kid, sid, '7', mac],
      [v, 'k9', sid, rotation, mac],
      [v, kid, randomUUID(), rotation, mac],
      ['nonsense'],
    ]
    for (const parts of forged) {
      const { status, body } = await server.client.refresh(parts.join('.'))
      expect({ status, body }).toEqual({
        status: 400,
        body: { error: 'invalid_grant', error_description: expect.any(String) as string },
      })
    }
    expect((await server.client.refresh(refresh_token)).status).toBe(200)
  })

  test('idle and absolute ends hold, and use moves the idle end only', async () => {
    const idle = await server.client.newAccount()
    const used = await server.client.newAccount()

    server.pass({ days: 59 })
    const later = await server.client.refreshed(used.refresh_token)
    expect(later.session_ends_at_ms).toBe(used.session_ends_at_ms)
    expect(later.session_idle_ends_at_ms).toBeGreaterThan(used.session_idle_ends_at_ms)
    server.pass({ days: 2 })
    expect(await server.client.refresh(idle.refresh_token)).toMatchObject(isOver('expired'))

    const secondUse = await server.client.refreshed(later.refresh_token)
    server.pass({ days: 58 })
    const last = await server.client.refreshed(secondUse.refresh_token)
    server.pass({ days: 58 })
    const almost = await server.client.refreshed(last.refresh_token)
    expect(almost.session_idle_ends_at_ms).toBe(almost.session_ends_at_ms)
    server.pass({ days: 4 })
    expect(await server.client.refresh(almost.refresh_token)).toMatchObject(isOver('expired'))
  })
})
