import { expect, test } from 'vitest'
import { readDraft } from './observation-draft.ts'

const nowMs = new Date('2026-01-15T12:00').getTime()
const typed = { species: 'Adelie', island: 'Dream', count: ' 12 ', note: ' On eggs. ', observedAtMs: '2026-01-15T11:30' }
const problemsOf = (change: Partial<typeof typed>) => {
  const read = readDraft({ ...typed, ...change }, nowMs)
  return 'problems' in read ? Object.keys(read.problems) : []
}

test('reads what was typed', () => {
  expect(readDraft(typed, nowMs)).toEqual({
    draft: { species: 'Adelie', island: 'Dream', count: 12, note: 'On eggs.', observedAtMs: new Date('2026-01-15T11:30').getTime() },
  })
})

test.each([
  ['count', { count: '' }],
  ['count', { count: '0' }],
  ['count', { count: '1.5' }],
  ['count', { count: 'three' }],
  ['count', { count: '100001' }],
  ['species', { species: 'Emperor' }],
  ['island', { island: '' }],
  ['note', { note: 'x'.repeat(501) }],
  ['observedAtMs', { observedAtMs: '' }],
  ['observedAtMs', { observedAtMs: '1969-12-31T00:00' }],
  ['observedAtMs', { observedAtMs: '2026-01-15T12:06' }],
])('names the field %s that cannot be stored: %o', (field, change) => {
  expect(problemsOf(change)).toEqual([field])
})

test('allows for clocks that differ by a few minutes', () => {
  expect(problemsOf({ observedAtMs: '2026-01-15T12:04' })).toEqual([])
})
