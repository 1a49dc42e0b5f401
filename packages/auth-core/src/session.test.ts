import { describe, expect, test } from 'vitest'
import { isFit, prefetchAtMs, type Session, sessionAfter, sessionEndsAtMs } from './session.ts'

const LIFE_MS = 900_000
const session: Session = { accessToken: 'a', accessLifeMs: LIFE_MS, accessExpiresAtMs: 1_000_000, refreshToken: 'r' }

describe('S11: a token is fit while enough life is left', () => {
  test.each<[string, number, number | undefined, boolean]>([
    ['just granted', LIFE_MS, undefined, true],
    ['the margin of 30 s left', 30_000, undefined, true],
    ['a millisecond less', 29_999, undefined, false],
    ['expired', -1, undefined, false],
    ['what the caller insists on', 60_000, 60_000, true],
    ['less than the caller insists on', 59_999, 60_000, false],
    ['half of the life, though the caller wants more than ever was granted', LIFE_MS / 2, 10 * LIFE_MS, true],
    ['less than half of the life, then', LIFE_MS / 2 - 1, 10 * LIFE_MS, false],
    ['the caller insists on nothing', 0, 0, true],
    ['a little more than was granted: the clocks differ a little', LIFE_MS + 60_000, undefined, true],
    ['far more than was granted: the clock went back, nothing is known', LIFE_MS + 60_001, undefined, false],
  ])('%s', (_, leftMs, minValidityMs, fit) => {
    expect(isFit(session, session.accessExpiresAtMs - leftMs, minValidityMs)).toBe(fit)
  })

  test('a token of 10 seconds is fit for the first 5', () => {
    const short = { ...session, accessLifeMs: 10_000 }

    expect(isFit(short, short.accessExpiresAtMs - 5_000)).toBe(true)
    expect(isFit(short, short.accessExpiresAtMs - 4_999)).toBe(false)
  })

  test('renewal ahead of need is due at 80 % of the life', () => {
    expect(prefetchAtMs(session)).toBe(1_000_000 - LIFE_MS * (1 - 0.8))
  })
})

describe('the end of a session', () => {
  test.each<[string, Partial<Session>, number | undefined]>([
    ['the server named none', {}, undefined],
    ['idle end only', { idleEndsAtMs: 5 }, 5],
    ['absolute end only', { endsAtMs: 7 }, 7],
    ['idle end first', { idleEndsAtMs: 5, endsAtMs: 7 }, 5],
    ['absolute end first', { idleEndsAtMs: 9, endsAtMs: 7 }, 7],
  ])('%s', (_, ends, endsAtMs) => {
    expect(sessionEndsAtMs({ ...session, ...ends })).toBe(endsAtMs)
  })
})

describe('the session after a grant', () => {
  const grant = { userId: 'u', accessToken: 'a2', accessLifeMs: 600_000 }

  test('expires by the server clock', () => {
    expect(sessionAfter(grant, 2_000_000).accessExpiresAtMs).toBe(2_600_000)
  })

  test('keeps what the grant leaves out (RFC 6749 section 6)', () => {
    const before: Session = { ...session, id: 's', idleEndsAtMs: 5, endsAtMs: 7, revokeHandle: 'h' }

    expect(sessionAfter(grant, 0, before)).toEqual({
      id: 's',
      accessToken: 'a2',
      accessLifeMs: 600_000,
      accessExpiresAtMs: 600_000,
      refreshToken: 'r',
      idleEndsAtMs: 5,
      endsAtMs: 7,
      revokeHandle: 'h',
    })
  })

  test('takes what the grant brings', () => {
    const brought = { sessionId: 's2', refreshToken: 'r2', idleEndsAtMs: 50, endsAtMs: 70, revokeHandle: 'h2' }

    expect(sessionAfter({ ...grant, ...brought }, 0, session)).toMatchObject({
      id: 's2',
      refreshToken: 'r2',
      idleEndsAtMs: 50,
      endsAtMs: 70,
      revokeHandle: 'h2',
    })
  })
})
