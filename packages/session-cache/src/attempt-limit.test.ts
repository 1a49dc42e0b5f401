import { expect, test } from 'vitest'
import { type Attempts, afterAttempt, nextAttempt, noAttempts } from './attempt-limit.ts'

const start = 1_800_000_000_000

test('C2: three are free, then 1 s, 5 s, 30 s, 5 min and from there 30 min between tries', () => {
  let attempts: Attempts = noAttempts
  const waits: number[] = []
  for (let failure = 1; failure <= 12; failure += 1) {
    attempts = afterAttempt(attempts, start)
    const next = nextAttempt(attempts, start)
    waits.push(next.kind === 'wait' ? next.retryAtMs - start : 0)
  }

  expect(waits).toEqual([0, 0, 1_000, 5_000, 30_000, 300_000, ...Array<number>(6).fill(1_800_000)])
})

test('C2: tells how many are left, and is free again when the wait is over', () => {
  const four: Attempts = { failures: 4, lastAtMs: start }

  expect(nextAttempt(four, start + 4_999)).toEqual({ kind: 'wait', retryAtMs: start + 5_000, attemptsLeft: 6 })
  expect(nextAttempt(four, start + 5_000)).toEqual({ kind: 'free', attemptsLeft: 6 })
  expect(nextAttempt({ failures: 99, lastAtMs: 0 }, start)).toEqual({ kind: 'free', attemptsLeft: 0 })
})

test('C2: a missing or forged counter means no attempts left', () => {
  expect(nextAttempt(null, start)).toEqual({ kind: 'none' })
})

test('a clock that was set back does not make a wait longer', () => {
  expect(nextAttempt({ failures: 4, lastAtMs: start }, start - 86_400_000)).toMatchObject({ retryAtMs: start - 86_400_000 + 5_000 })
})
