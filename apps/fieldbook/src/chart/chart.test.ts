import { expect, test } from 'vitest'
import type { StationRecord } from '../schemas.ts'
import { roundScale, swarm } from './layout.ts'
import { summaryOf, valuesOf } from './measures.ts'

test('a scale has round ticks around the values', () => {
  const scale = roundScale(172, 231, 8)

  expect(scale.ticks).toEqual([170, 180, 190, 200, 210, 220, 230, 240])
  expect(scale.position(170)).toBe(0)
  expect(scale.position(240)).toBe(1)
})

test('a scale stands a single value and small ones', () => {
  expect(roundScale(5, 5, 5).ticks.length).toBeGreaterThan(1)
  expect(roundScale(13.1, 21.5, 5).ticks).toEqual([10, 15, 20, 25])
})

test('the dots of a swarm keep their place along the line and do not cover one another', () => {
  const xs = [10, 10, 10, 12, 13, 13, 40]

  const dots = swarm(xs, 5)

  expect(dots.map((dot) => dot.x)).toEqual(xs)
  expect(dots[0]?.y).toBe(0)
  expect(dots.at(-1)?.y).toBe(0)
  const distances = dots.flatMap((a, index) => dots.slice(index + 1).map((b) => Math.hypot(a.x - b.x, a.y - b.y)))
  expect(Math.min(...distances)).toBeGreaterThan(4.999)
})

test('leaves out what was not measured, and tells least, median and most', () => {
  const record = { id: 'palmer-001', species: 'Adelie', island: 'Dream', billDepthMm: null, flipperLengthMm: null, sex: null } as const
  const masses = [3900, null, 3100, 3300, 4000]
  const records: StationRecord[] = masses.map((bodyMassG) => ({ ...record, billLengthMm: null, bodyMassG }))

  expect(summaryOf(valuesOf(records, 'bodyMassG'))).toEqual({ count: 4, min: 3100, median: 3600, max: 4000 })
  expect(summaryOf(valuesOf(records, 'billLengthMm'))).toBeUndefined()
})
