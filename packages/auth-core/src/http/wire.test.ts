import { describe, expect, test } from 'vitest'
import { fields, parseGrant, parseProfile, UnreadableBody } from './wire.ts'

const RECEIVED_MS = 1_000_000
const TEN_YEARS_S = 10 * 365 * 86_400

const answer = {
  token_type: 'Bearer',
  access_token: 'canary-access',
  expires_in: 900,
  refresh_token: 'canary-refresh',
  session_id: 's1',
  user_id: 'u1',
  device_id: 'd1',
  session_idle_ends_at_ms: 5,
  session_ends_at_ms: 7,
  server_time_ms: RECEIVED_MS + 250,
  revoke_handle: 'canary-handle',
}

describe('a token answer', () => {
  test('has no seconds and no wire names once it is read', () => {
    expect(parseGrant({ ...answer, is_new: true }, RECEIVED_MS)).toEqual({
      userId: 'u1',
      accessToken: 'canary-access',
      accessLifeMs: 900_000,
      refreshToken: 'canary-refresh',
      sessionId: 's1',
      deviceId: 'd1',
      idleEndsAtMs: 5,
      endsAtMs: 7,
      revokeHandle: 'canary-handle',
      serverOffsetMs: 250,
      isNew: true,
    })
  })

  test('needs no more than a token, its life and a user', () => {
    const least = { token_type: 'bearer', access_token: 'a', expires_in: 0.5, user_id: 'u1', session_ends_at_ms: null, refresh_token: null }

    expect(parseGrant(least, RECEIVED_MS)).toEqual({ userId: 'u1', accessToken: 'a', accessLifeMs: 500 })
  })

  test.each<[string, unknown, string]>([
    ['not an object', 'canary-access', 'JSON object'],
    ['a list', [answer], 'JSON object'],
    ['null', null, 'JSON object'],
    ...Object.entries({
      token_type: [undefined, null, '', 7, 'mac', 'canary-type'],
      access_token: [undefined, null, '', 7, {}, ['canary']],
      user_id: [undefined, null, '', 7, true],
      expires_in: [undefined, null, 0, -1, '900', Number.NaN, Number.POSITIVE_INFINITY, 1e308, TEN_YEARS_S + 1, {}],
      refresh_token: ['', 7, {}, false],
      session_id: ['', 7],
      device_id: ['', {}],
      revoke_handle: ['', 0],
      session_idle_ends_at_ms: [-1, 0, 'canary', Number.NaN],
      session_ends_at_ms: [-1, '7', {}],
      server_time_ms: [-1, 0, 'canary', Number.POSITIVE_INFINITY],
      identities: ['canary', {}, [7], [{ id: 'i' }], [{ id: 'i', provider: 'canary-provider' }]],
    }).flatMap(([field, values]) =>
      values.map((value): [string, unknown, string] => [
        `${field}: ${String(JSON.stringify(value))}`,
        { ...answer, [field]: value },
        field,
      ]),
    ),
  ])('is not read with %s, and the message names the field and never the value', (_, body, field) => {
    const error = failureOf(() => parseGrant(body, RECEIVED_MS))

    expect(error).toBeInstanceOf(UnreadableBody)
    expect(error.message).toMatch(field === 'identities' ? /`|JSON object/ : new RegExp(field))
    expect(error.message).not.toContain('canary')
  })

  test('may live ten years and no longer', () => {
    expect(parseGrant({ ...answer, expires_in: TEN_YEARS_S }, RECEIVED_MS).accessLifeMs).toBe(TEN_YEARS_S * 1000)
  })

  test('with a user inside brings the profile along', () => {
    const identities = [{ id: 'i1', provider: 'email-password' }]
    const body = { ...answer, identities, profile: { first_name: 'Ann', pictureless: true }, custom_data: { rank: 1 } }

    expect(parseGrant(body, RECEIVED_MS)).toMatchObject({
      identities,
      profile: { firstName: 'Ann', pictureless: true },
      customData: { rank: 1 },
    })
  })
})

describe('a profile', () => {
  test.each<[string, unknown]>([
    ['no user', { identities: [] }],
    ['no identities', { user_id: 'u1' }],
    ['identities by name', { user_id: 'u1', identities: { id: 'i' } }],
    ['a profile of text', { user_id: 'u1', identities: [], profile: 'canary' }],
    ['custom data in a list', { user_id: 'u1', identities: [], custom_data: ['canary'] }],
  ])('is not read with %s', (_, body) => {
    expect(failureOf(() => parseProfile(body))).toBeInstanceOf(UnreadableBody)
  })

  test('without anything about the person is a profile too', () => {
    expect(parseProfile({ user_id: 'u1', identities: [], profile: null })).toEqual({
      userId: 'u1',
      identities: [],
      profile: {},
      customData: {},
    })
  })
})

describe('`__proto__` in an answer', () => {
  const poisoned: unknown = JSON.parse(
    `{"user_id":"u1","identities":[],"__proto__":{"isAdmin":true},
      "profile":{"__proto__":{"isAdmin":true},"constructor":"c"},"custom_data":{"__proto__":{"isAdmin":true},"deep":{"__proto__":{"isAdmin":true}}}}`,
  )

  test('is left out, and no object of the program changes', () => {
    const { profile, customData } = parseProfile(poisoned)

    expect(Object.keys(profile)).toEqual(['constructor'])
    expect(Reflect.get(profile, 'isAdmin')).toBeUndefined()
    expect(Reflect.get(customData, 'isAdmin')).toBeUndefined()
    expect(Reflect.get({}, 'isAdmin')).toBeUndefined()
    expect(Object.keys(fields(poisoned))).not.toContain('__proto__')
  })
})

function failureOf(read: () => unknown): Error {
  try {
    read()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('Nothing was thrown.')
}
