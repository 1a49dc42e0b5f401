import { realWorld } from '@nightlatch/auth-core/world'
import { expect, test } from 'vitest'
import { retryDelayMs } from './backoff.ts'
import { Pacer, type Ticket } from './pacer.ts'
import { DEFAULT_POLICY } from './policy.ts'

const open = new AbortController().signal
const tick = () => new Promise((resolve) => setTimeout(resolve, 5))

async function tickets(pacer: Pacer, count: number): Promise<Ticket[]> {
  const given = await Promise.all(Array.from({ length: count }, () => pacer.turn(open)))
  return given.filter((ticket) => ticket !== undefined)
}

test('twenty requests that fail together are one failure', async () => {
  const pacer = new Pacer(realWorld(), DEFAULT_POLICY, () => {})
  for (const ticket of await tickets(pacer, 20)) ticket.failed('later')
  expect((pacer.waiting?.retryAtMs ?? Infinity) - Date.now()).toBeLessThanOrEqual(2_000)
  pacer.stop()
})

test('G5: one probe goes ahead; the others follow when it succeeds and wait on when it fails', async () => {
  const pacer = new Pacer(realWorld(), DEFAULT_POLICY, () => {})
  const [first] = await tickets(pacer, 1)
  first?.failed('later')
  const released: Ticket[] = []
  for (let i = 0; i < 5; i += 1) void pacer.turn(open).then((ticket) => ticket && released.push(ticket))

  pacer.hurry()
  await tick()
  expect(released).toHaveLength(1)
  released[0]?.failed('later')
  await tick()
  expect(released).toHaveLength(1)
  pacer.hurry()
  await tick()
  released[1]?.succeeded()
  await tick()
  expect(released).toHaveLength(5)
  expect(pacer.waiting).toBeUndefined()
})

test('a probe that tells nothing hands its turn on; whoever gives up leaves the line', async () => {
  const pacer = new Pacer(realWorld(), DEFAULT_POLICY, () => {})
  const [first] = await tickets(pacer, 1)
  first?.failed('later')
  const giving = new AbortController()
  const gone = pacer.turn(giving.signal)
  const [second, third] = [pacer.turn(open), pacer.turn(open)]
  giving.abort()
  expect(await gone).toBeUndefined()
  pacer.hurry()
  ;(await second)?.dropped()
  expect(await third).toBeDefined()
  pacer.stop()
})

test('the wait grows, is never shorter than Retry-After, and has a ceiling', () => {
  const patience = { firstRetryMs: 1_000, longestRetryMs: 60_000 }
  expect(retryDelayMs(1, 0, patience)).toBe(500)
  expect(retryDelayMs(1, 1, patience)).toBe(2_000)
  expect(retryDelayMs(4, 1, patience)).toBe(16_000)
  expect(retryDelayMs(50, 1, patience)).toBe(60_000)
  expect(retryDelayMs(1, 0, patience, 90_000)).toBe(90_000)
})
