import { expect, test } from 'vitest'
import { toBase64url } from './encoding.ts'
import { checkedSettings, defaultKdf, deriveKey, fallbackKdf, floorKdf, parseParameters, secretBytes } from './key-derivation.ts'

const salt = 'AAAAAAAAAAAAAAAAAAAAAA'

test.each([
  ['Argon2id at the floor', { ...floorKdf, salt }],
  ['Argon2id as made by default', { ...defaultKdf, salt }],
  ['PBKDF2', { ...fallbackKdf, salt }],
])('believes %s', (_name, stored) => {
  expect(parseParameters(stored)).toEqual(stored)
})

test.each([
  ['too little memory', { name: 'argon2id', memoryKiB: 19_455, passes: 2, salt }],
  ['too few passes', { name: 'argon2id', memoryKiB: 65_536, passes: 1, salt }],
  ['memory that would suffocate the device', { name: 'argon2id', memoryKiB: 4_194_304, passes: 3, salt }],
  ['passes without end', { name: 'argon2id', memoryKiB: 65_536, passes: 1_000_000, salt }],
  ['too few iterations', { name: 'pbkdf2', iterations: 599_999, salt }],
  ['no number', { name: 'argon2id', memoryKiB: '65536', passes: 3, salt }],
  ['a fraction', { name: 'argon2id', memoryKiB: 65_536.5, passes: 3, salt }],
  ['a short salt', { ...defaultKdf, salt: 'AAAA' }],
  ['a salt that is not written canonically', { ...defaultKdf, salt: 'AAAAAAAAAAAAAAAAAAAAAB' }],
  ['an unknown name', { name: 'scrypt', salt }],
  ['nothing', undefined],
])('refuses %s', (_name, stored) => {
  expect(parseParameters(stored)).toBeNull()
})

test('refuses settings below the floor where an app asks for them', () => {
  expect(() => checkedSettings({ name: 'pbkdf2', iterations: 1_000 })).toThrow(RangeError)
  expect(checkedSettings(floorKdf)).toBe(floorKdf)
})

test('derives what OpenSSL derives (RFC 9106, RFC 8018)', async () => {
  const secret = secretBytes('correct horse')

  expect(toBase64url(await deriveKey(secret, new Uint8Array(16), floorKdf))).toBe('_bBYHQ5sKKXCK339tECLQQaYWRSe86cRovRjUg7O26s')
  expect(toBase64url(await deriveKey(secret, new Uint8Array(16), fallbackKdf))).toBe('1KM83Y_yQ2uzVlwuf49agf01SYctuA1v9tPVPx7BW8M')
})

test('the default settings derive too', async () => {
  expect(await deriveKey(secretBytes('x'), new Uint8Array(16), defaultKdf)).toHaveLength(32)
})

test('two spellings of one secret are one secret', () => {
  expect(secretBytes('caf\u00e9')).toEqual(secretBytes('cafe\u0301'))
})
