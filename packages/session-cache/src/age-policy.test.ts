import { describe, expect, test } from 'vitest'
import { believedNowMs, markOnline, markSeen, offlineAccess, offlinePolicies } from './age-policy.ts'

const DAY_MS = 86_400_000
const start = 1_800_000_000_000
const { standard, strict } = offlinePolicies

describe('C4: offline access ends by age', () => {
  test.each([
    ['at once', 0, 'allowed'],
    ['a day later', DAY_MS, 'allowed'],
    ['a moment before the idle limit', 7 * DAY_MS - 1, 'allowed'],
    ['at the idle limit', 7 * DAY_MS, 'age'],
    ['years later, as after a boot in 2099', 26_000 * DAY_MS, 'age'],
    ['with a clock that is four minutes slow', -240_000, 'allowed'],
    ['with a clock turned back by an hour', -3_600_000, 'clock'],
    ['with a clock turned back by ten years', -3_650 * DAY_MS, 'clock'],
  ] as const)('%s', (_when, passedMs, expected) => {
    const access = offlineAccess(markOnline(start), standard, start + passedMs)

    expect(access.kind === 'allowed' ? 'allowed' : access.why).toBe(expected)
  })

  test('use keeps the idle limit away, never the absolute one', () => {
    let mark = markOnline(start)
    for (let day = 1; day < 30; day += 1) {
      expect(offlineAccess(mark, standard, start + day * DAY_MS)).toMatchObject({ kind: 'allowed' })
      mark = markSeen(mark, start + day * DAY_MS)
    }

    expect(offlineAccess(mark, standard, start + 30 * DAY_MS)).toEqual({ kind: 'refused', why: 'age' })
  })

  test('turning the clock back does not extend anything', () => {
    const seenLate = markSeen(markOnline(start), start + 6 * DAY_MS)

    expect(offlineAccess(seenLate, strict, start + 6 * DAY_MS)).toMatchObject({ why: 'age' })
    expect(offlineAccess(seenLate, standard, start)).toEqual({ kind: 'refused', why: 'clock' })
    expect(markSeen(seenLate, start)).toEqual(seenLate)
  })

  test('a clock that is a few minutes slow does not give back what was used up', () => {
    const seenAtTheEnd = markSeen(markOnline(start), start + 30 * DAY_MS)

    expect(offlineAccess(seenAtTheEnd, standard, start + 30 * DAY_MS - 240_000)).toEqual({ kind: 'refused', why: 'age' })
  })

  test('a time that the server vouched for replaces the mark, downwards too', () => {
    const wrong = markSeen(markOnline(start), start + 6 * DAY_MS)
    expect(offlineAccess(wrong, standard, start)).toMatchObject({ kind: 'refused' })

    expect(offlineAccess(markOnline(start), standard, start)).toMatchObject({ kind: 'allowed', endsAtMs: start + 7 * DAY_MS })
  })

  test('without a mark nothing is allowed', () => {
    expect(offlineAccess(null, standard, start)).toEqual({ kind: 'refused', why: 'clock' })
  })

  test('a jump ahead inside a running tab is not adopted', () => {
    const tabStart = { wallMs: start, monotonicMs: 100 }

    expect(believedNowMs(tabStart, { wallMs: start + 60_000, monotonicMs: 60_100 })).toBe(start + 60_000)
    expect(believedNowMs(tabStart, { wallMs: start + 26_000 * DAY_MS, monotonicMs: 60_100 })).toBe(start + 60_000 + 300_000)
    expect(believedNowMs(tabStart, { wallMs: start - DAY_MS, monotonicMs: 60_100 })).toBe(start - DAY_MS)
  })
})
