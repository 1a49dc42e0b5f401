import { expect, test } from 'vitest'
import type { FieldbookAuthState, FieldbookSyncState } from './session.ts'
import { failureText, observationsText, overReasonText, statusOf } from './status-text.ts'
import { fromLocalInput, toLocalInput } from './time-text.ts'

const counts = { pending: { count: 0, exact: true, countedAtMs: 0 }, rejected: 0, parked: 0, inFlight: 0, collections: {} }
const restoring: FieldbookAuthState = { kind: 'restoring' }

test.each<[string, FieldbookSyncState]>([
  ['Starting', { ...counts, kind: 'idle' }],
  ['Syncing', { ...counts, kind: 'syncing' }],
  ['Syncing', { ...counts, kind: 'refreshing' }],
  ['Online', { ...counts, kind: 'synced', atMs: 1 }],
  ['Offline', { ...counts, kind: 'offline' }],
  ['Login required', { ...counts, kind: 'login-required', reason: 'expired' }],
  ['Sync stopped', { ...counts, kind: 'blocked', cause: 'forbidden' }],
  ['Sync paused', { ...counts, kind: 'halted', by: 'app' }],
])('shows %s', (label, sync) => {
  expect(statusOf(restoring, sync).label).toBe(label)
})

test('has words for the reasons and failures a person can meet, and none of its own for the rest', () => {
  expect(overReasonText('revoked')).toBe('your session was revoked.')
  expect(overReasonText('something new')).toBe('the server ended your session.')
  expect(failureText('invalid-credentials', 'x')).toContain('do not fit together')
  expect(failureText('weak-password', 'Use 8 characters or more.')).toBe('Use 8 characters or more.')
})

test('counts in words', () => {
  expect([observationsText(0), observationsText(1), observationsText(2)]).toEqual(['0 observations', '1 observation', '2 observations'])
})

test('a time comes back from its form field to the minute', () => {
  const atMs = new Date('2026-01-15T11:30:40').getTime()

  expect(fromLocalInput(toLocalInput(atMs))).toBe(atMs - 40_000)
})
