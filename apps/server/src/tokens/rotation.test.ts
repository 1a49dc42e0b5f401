import { expect, test } from 'vitest'
import { decideRefresh, type RefreshDecision, type RotationState, rememberAttempt } from './rotation.ts'

const MINUTE = 60_000
const now = 1_000 * MINUTE
/** Rotation 5 is current and proven; 4 became 5 by attempt "d" an hour ago. */
const settled: RotationState = {
  rotation: 5,
  confirmedRotation: 5,
  rotatedAtMs: now - 60 * MINUTE,
  attempts: [
    { rotation: 3, attempt: 'c' },
    { rotation: 4, attempt: 'd' },
  ],
}
const unproven: RotationState = { ...settled, confirmedRotation: 4 }
const fresh: RotationState = { ...settled, rotatedAtMs: now - 29_000 }

test.each<[what: string, RotationState, presented: number, attempt: string | undefined, RefreshDecision]>([
  ['current', settled, 5, 'e', 'rotate'],
  ['current without an attempt id', settled, 5, undefined, 'rotate'],
  ['one behind, same attempt, an hour or weeks later', settled, 4, 'd', 'repeat'],
  ['two behind, same attempt', settled, 3, 'c', 'superseded'],
  ['one behind, another attempt, current is proven', settled, 4, 'x', 'reuse'],
  ['one behind, no attempt, current is proven', settled, 4, undefined, 'reuse'],
  ['one behind, another attempt, current not yet used', unproven, 4, 'x', 'repeat'],
  ['one behind, no attempt, current not yet used', unproven, 4, undefined, 'repeat'],
  ['one behind, another attempt, rotated 29 s ago', fresh, 4, 'x', 'repeat'],
  ['two behind, another attempt, rotated 29 s ago', fresh, 3, 'x', 'reuse'],
  ['two behind, another attempt, current not yet used', unproven, 3, 'x', 'reuse'],
  ['two behind with the attempt of another rotation', settled, 3, 'd', 'reuse'],
  ['far behind', settled, 0, undefined, 'reuse'],
  ['ahead', settled, 6, 'e', 'adopt'],
])('%s', (_what, state, presented, attempt, decision) => {
  expect(decideRefresh(state, presented, attempt, now)).toBe(decision)
})

test('remembers the last eight attempts', () => {
  let attempts = rememberAttempt([], 0, 'first')
  for (let rotation = 1; rotation <= 8; rotation++) attempts = rememberAttempt(attempts, rotation, `attempt ${rotation}`)

  expect(attempts.map(({ rotation }) => rotation)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  expect(rememberAttempt(attempts, 9, undefined)).toBe(attempts)
})
