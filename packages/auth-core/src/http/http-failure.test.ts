import { describe, expect, test } from 'vitest'
import type { Outcome } from '../outcome.ts'
import { retryAfterMs, sortAnswer } from './http-failure.ts'

const NOW_MS = Date.UTC(2026, 0, 1)
const busy: Outcome = { kind: 'later', why: 'busy' }
const refused = (code: string, message?: string): Outcome => ({ kind: 'refused', code, ...(message ? { message } : {}) })

function sort(endpoint: 'token' | 'other', status: number, body?: unknown, headers: Record<string, string> = {}): Outcome {
  return sortAnswer({ status, headers: new Headers(headers), body }, endpoint, NOW_MS)
}

describe('S1: what ends a session', () => {
  test.each([
    ['expired', 'expired'],
    ['revoked', 'revoked'],
    ['reuse', 'reuse'],
    ['user_disabled', 'disabled'],
    ['user_deleted', 'deleted'],
    ['password_changed', 'credential-changed'],
    ['device_wiped', 'device-wiped'],
  ] as const)('`invalid_grant` with `%s` from the token endpoint, whatever the status', (code, reason) => {
    for (const status of [200, 400, 401, 403, 409, 429, 500, 503]) {
      expect(sort('token', status, { error: 'invalid_grant', code })).toEqual({ kind: 'over', reason })
    }
  })

  test('`invalid_grant` alone, or with a code of a later version, is an end for a reason not known', () => {
    for (const body of [{ error: 'invalid_grant' }, { error: 'invalid_grant', code: 'from_the_future' }]) {
      expect(sort('token', 400, body)).toEqual({ kind: 'over', reason: 'unknown' })
    }
  })

  test.each([400, 401, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504])(
    'never the status %d, with any body that does not say so',
    (status) => {
      const bodies = [
        undefined,
        null,
        [],
        'invalid_grant',
        7,
        {},
        { error: 'invalid_request' },
        { error: ['invalid_grant'] },
        { code: { expired: 1 } },
      ]
      for (const body of bodies) expect(sort('token', status, body).kind, JSON.stringify(body)).not.toBe('over')
    },
  )

  test('never another endpoint, even if it says the same', () => {
    for (const status of [400, 401, 403]) {
      expect(sort('other', status, { error: 'invalid_grant', code: 'revoked' }).kind).not.toBe('over')
    }
  })

  test('never a name that only the prototype has', () => {
    for (const code of ['__proto__', 'constructor', 'toString']) expect(sort('token', 400, { error: 'No.', code }).kind).toBe('refused')
    expect(sort('token', 400, JSON.parse('{"__proto__":{"error":"invalid_grant"}}')).kind).toBe('misconfigured')
  })
})

describe('every other answer', () => {
  test.each<[string, Outcome, Outcome]>([
    ['a redirect that was not followed', sort('token', 302), busy],
    ['a page of a proxy', sort('token', 403), busy],
    ['a page with 404', sort('other', 404), busy],
    ['408', sort('token', 408, { error: 'Slow.', code: 'timeout' }), busy],
    ['425', sort('token', 425, {}), busy],
    ['500', sort('token', 500, { error: 'Broken.', code: 'internal' }), busy],
    ['503 with a wait', sort('other', 503, {}, { 'Retry-After': '3' }), { ...busy, retryAfterMs: 3_000 }],
    ['429 as a page', sort('other', 429), { kind: 'later', why: 'throttled' }],
    ['429 with a wait', sort('token', 429, {}, { 'Retry-After': '7' }), { kind: 'later', why: 'throttled', retryAfterMs: 7_000 }],
    ['a newer token exists', sort('token', 409, { error: 'Newer.', code: 'superseded' }), { kind: 'superseded' }],
    ['401 of a resource', sort('other', 401, { error: 'No.', code: 'token_expired' }), { kind: 'token-rejected' }],
    ['401 of a resource without a code', sort('other', 401, {}), { kind: 'token-rejected' }],
    ['wrong password', sort('other', 401, { error: 'Wrong.', code: 'invalid_credentials' }), refused('invalid-credentials', 'Wrong.')],
    ['taken address', sort('other', 409, { error: 'Taken.', code: 'email_taken' }), refused('account-exists', 'Taken.')],
    ['weak password', sort('other', 400, { error: 'Short.', code: 'weak_password' }), refused('weak-password', 'Short.')],
    ['taken identity', sort('other', 409, { code: 'identity_taken' }), refused('identity-taken')],
    ['a code nobody knows', sort('other', 418, { error: 'Teapot.', code: 'teapot' }), refused('teapot', 'Teapot.')],
    ['a code that a prototype has', sort('other', 400, { code: 'toString' }), refused('toString')],
  ])('%s', (_, sorted, outcome) => {
    expect(sorted).toEqual(outcome)
  })

  test("JSON without a code is somebody else's server", () => {
    expect(sort('other', 400, { message: 'Bad Request' }).kind).toBe('misconfigured')
    expect(sort('token', 401, { message: 'No route' }).kind).toBe('misconfigured')
  })
})

describe('Retry-After', () => {
  test.each<[string, Record<string, string>, number | undefined]>([
    ['absent', {}, undefined],
    ['seconds', { 'Retry-After': '120' }, 120_000],
    ['zero', { 'Retry-After': '0' }, 0],
    ['negative', { 'Retry-After': '-5' }, undefined],
    ['nonsense', { 'Retry-After': 'soon' }, undefined],
    ['a year', { 'Retry-After': '31536000' }, 3_600_000],
    ['a date by this clock', { 'Retry-After': new Date(NOW_MS + 9_000).toUTCString() }, 9_000],
    ['a date that has passed', { 'Retry-After': new Date(NOW_MS - 9_000).toUTCString() }, undefined],
    [
      'a date by the clock of the answer, which is not this one',
      { 'Retry-After': 'Thu, 01 Jan 2099 00:00:09 GMT', Date: 'Thu, 01 Jan 2099 00:00:00 GMT' },
      9_000,
    ],
  ])('%s', (_, headers, waitMs) => {
    expect(retryAfterMs(new Headers(headers), NOW_MS)).toBe(waitMs)
  })
})
