import { describe, expect, test } from 'vitest'
import { Credentials } from './credentials.ts'
import { AuthError } from './errors.ts'

const JWT = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'

describe('every kind is plain data', () => {
  test.each<[string, Credentials, unknown]>([
    ['anonymous', Credentials.anonymous(), { provider: 'anonymous', reuse: true }],
    ['anonymous, always a new user', Credentials.anonymous({ reuse: false }), { provider: 'anonymous', reuse: false }],
    ['email and password', Credentials.emailPassword('a@b.c', 'p'), { provider: 'email-password', email: 'a@b.c', password: 'p' }],
    ['API key', Credentials.apiKey('k'), { provider: 'api-key', key: 'k' }],
    ['server API key', Credentials.serverApiKey('k'), { provider: 'api-key', key: 'k' }],
    ['JWT', Credentials.jwt(JWT), { provider: 'jwt', token: JWT }],
    ['function', Credentials.function({ badge: 7 }), { provider: 'function', payload: { badge: 7 } }],
    ['Facebook', Credentials.facebook('t'), { provider: 'facebook', accessToken: 't' }],
    ['Google by id token', Credentials.google({ idToken: JWT }), { provider: 'google', idToken: JWT }],
    ['Google by code', Credentials.google({ authCode: 'c' }), { provider: 'google', authCode: 'c' }],
    ['Apple', Credentials.apple(JWT), { provider: 'apple', idToken: JWT }],
  ])('%s', (_, made, plain) => {
    expect(made).toEqual(plain)
    expect(JSON.parse(JSON.stringify(made))).toEqual(plain)
  })

  test('a function payload is copied, so that a later change of the original changes nothing', () => {
    const payload = { badge: 7 }
    const made = Credentials.function(payload)
    payload.badge = 8

    expect(made).toEqual({ provider: 'function', payload: { badge: 7 } })
  })
})

describe('bad input is `invalid-argument` and names the field', () => {
  const cyclic: Record<string, unknown> = {}
  cyclic.self = cyclic
  /** Values that must not be strings of the right shape; cast at one place, as a caller without types would pass them. */
  const wrong = (value: unknown) => value as never

  test.each<[string, string, () => unknown]>([
    ['anonymous, reuse as text', 'reuse', () => Credentials.anonymous({ reuse: wrong('no') })],
    ['an empty e-mail address', 'email', () => Credentials.emailPassword('', 'canary-password')],
    ['an e-mail address of spaces', 'email', () => Credentials.emailPassword('  ', 'canary-password')],
    ['no e-mail address', 'email', () => Credentials.emailPassword(wrong(undefined), 'canary-password')],
    ['an empty password', 'password', () => Credentials.emailPassword('canary@example.org', '')],
    ['a password object', 'password', () => Credentials.emailPassword('canary@example.org', wrong({ toString: () => 'canary' }))],
    ['an empty key', 'key', () => Credentials.apiKey('')],
    ['a number as key', 'key', () => Credentials.apiKey(wrong(4711))],
    ['an empty server key', 'key', () => Credentials.serverApiKey('')],
    ['an empty JWT', 'token', () => Credentials.jwt('')],
    ['a JWT of two segments', 'token', () => Credentials.jwt('canary.token')],
    ['a JWT of four segments', 'token', () => Credentials.jwt('canary.a.b.c')],
    ['a JWT with an empty segment', 'token', () => Credentials.jwt('canary..c')],
    ['an undefined payload', 'payload', () => Credentials.function(undefined)],
    ['a function as payload', 'payload', () => Credentials.function(() => 'canary')],
    ['a cyclic payload', 'payload', () => Credentials.function(cyclic)],
    ['a BigInt payload', 'payload', () => Credentials.function({ canary: 4711n })],
    ['an empty Facebook token', 'accessToken', () => Credentials.facebook('')],
    ['both Google kinds', 'google', () => Credentials.google({ idToken: JWT, authCode: 'canary' })],
    ['no Google kind', 'idToken', () => Credentials.google(wrong({}))],
    ['Google from nothing', 'idToken', () => Credentials.google(wrong(null))],
    ['Google from text', 'idToken', () => Credentials.google(wrong('canary'))],
    ['an empty Google code', 'authCode', () => Credentials.google({ authCode: '' })],
    ['a Google id token that is none', 'idToken', () => Credentials.google({ idToken: 'canary' })],
    ['an Apple id token that is none', 'idToken', () => Credentials.apple('canary')],
  ])('%s', (_, field, make) => {
    const error = failureOf(make)

    expect(error).toBeInstanceOf(AuthError)
    expect(error).toMatchObject({ code: 'invalid-argument' })
    expect(error.message).toContain(`\`${field}\``)
    expect(`${error.message} ${JSON.stringify(error)} ${String(error.cause)}`).not.toMatch(/canary|4711/)
  })
})

function failureOf(make: () => unknown): AuthError {
  try {
    make()
  } catch (error) {
    if (error instanceof AuthError) return error
  }
  throw new Error('Nothing, or something untyped, was thrown.')
}
