import { expect, test } from 'vitest'
import { ServerClock } from './server-clock.ts'

const DAY_MS = 86_400_000
const YEAR_MS = 365 * DAY_MS
const TRUE_MS = Date.UTC(2026, 0, 1)

/** A device whose two clocks a test moves by hand. */
function device(wallOffsetMs = 0) {
  const at = { wallMs: TRUE_MS + wallOffsetMs, monotonicMs: 0 }
  return {
    clock: { nowMs: () => at.wallMs, monotonicMs: () => at.monotonicMs },
    pass(ms: number) {
      at.wallMs += ms
      at.monotonicMs += ms
    },
    setDate(byMs: number) {
      at.wallMs += byMs
    },
    sleep(ms: number) {
      at.wallMs += ms
    },
  }
}

test.each([0, DAY_MS, -DAY_MS, 10 * YEAR_MS, -10 * YEAR_MS, 73 * YEAR_MS])(
  'S11: a device off by %d ms knows the server time once it was told',
  (off) => {
    const { clock, pass } = device(off)
    const server = new ServerClock(clock)

    server.learn(-off)
    pass(90_000)

    expect(server.nowMs()).toBe(TRUE_MS + 90_000)
  },
)

test('until it is told it believes the device', () => {
  expect(new ServerClock(device(DAY_MS).clock).nowMs()).toBe(TRUE_MS + DAY_MS)
})

test('S11: a date set back does not make a token younger', () => {
  const { clock, pass, setDate } = device()
  const server = new ServerClock(clock)
  server.learn(0)

  pass(60_000)
  setDate(-10 * YEAR_MS)
  pass(60_000)

  expect(server.nowMs()).toBe(TRUE_MS + 120_000)
})

test('S11: a date set forward makes it older, until the server says what time it is', () => {
  const { clock, pass, setDate } = device()
  const server = new ServerClock(clock)
  server.learn(0)

  setDate(10 * YEAR_MS)
  expect(server.nowMs()).toBe(TRUE_MS + 10 * YEAR_MS)

  server.learn(-10 * YEAR_MS)
  pass(1_000)
  expect(server.nowMs()).toBe(TRUE_MS + 1_000)
})

test('S11: time asleep counts although the monotonic clock stood still', () => {
  const { clock, sleep } = device()
  const server = new ServerClock(clock)
  server.learn(0)

  sleep(30 * DAY_MS)

  expect(server.nowMs()).toBe(TRUE_MS + 30 * DAY_MS)
})
