import { expect, test } from 'vitest'
import { closingLine, isSuccess, tallyOf, type VitestReport } from './tally.ts'

const green: VitestReport = {
  success: true,
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [{ status: 'passed', assertionResults: [1, 2, 3] }],
}

test('the closing line names skipped tests only where there are some', () => {
  expect(closingLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed')
  expect(closingLine({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped')
})

test('a run in which nothing ran is no success', () => {
  expect(isSuccess({ passed: 0, failed: 0, skipped: 5 })).toBe(false)
  expect(isSuccess({ passed: 1, failed: 0, skipped: 5 })).toBe(true)
})

test('a test file that could not be loaded counts as failed, beside the tests that failed', () => {
  const unloadable = { status: 'failed' as const, assertionResults: [] }
  const report = { ...green, success: false, numFailedTests: 1, testResults: [...green.testResults, unloadable] }

  expect(tallyOf(report)).toEqual({ passed: 3, failed: 2, skipped: 0 })
})

test('an error outside of all tests counts as failed', () => {
  expect(tallyOf({ ...green, success: false })).toEqual({ passed: 3, failed: 1, skipped: 0 })
})

test('skipped and todo tests count as skipped', () => {
  expect(tallyOf({ ...green, numPendingTests: 2, numTodoTests: 1 })).toEqual({ passed: 3, failed: 0, skipped: 3 })
})
