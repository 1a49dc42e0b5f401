import { expect, test } from 'vitest'
import { utf8 } from './encoding.ts'
import { type Binding, type Envelope, EnvelopeRefused, parseEnvelope, seal, unseal } from './envelope.ts'

const binding: Binding = { appId: 'fieldbook', issuer: 'https://api.example.org', record: 'key-ann', field: 'vault' }

test('gives back what was sealed', async () => {
  const key = await aesKey()

  const envelope = await seal(key, utf8('hello'), binding, { kid: 'k1' })

  expect(new TextDecoder().decode(await unseal(key, envelope, binding))).toBe('hello')
  expect(Object.keys(envelope).toSorted()).toEqual(['ciphertext', 'iv', 'protected', 'tag'])
})

test('C1: every flipped bit of a stored envelope is refused, in its bytes and in its text', async () => {
  const key = await aesKey()
  const envelope = await seal(key, crypto.getRandomValues(new Uint8Array(32)), binding, { kid: 'k1' })
  const changed = [...bitFlips(envelope), ...otherLetters(envelope)]

  const answers = await Promise.allSettled(changed.map((flipped) => unseal(key, flipped, binding)))

  expect(answers.filter(({ status }) => status === 'fulfilled')).toEqual([])
  for (const answer of answers) expect(answer).toMatchObject({ reason: expect.any(EnvelopeRefused) })
  expect(changed.length).toBeGreaterThan(1_500)
})

test('C1: an envelope opens only where it belongs', async () => {
  const key = await aesKey()
  const envelope = await seal(key, utf8('hello'), binding)
  const elsewhere: readonly Partial<Binding>[] = [
    { appId: 'other' },
    { issuer: 'https://other.example.org' },
    { record: 'key-ben' },
    { field: 'slot:device' },
    { appId: 'fieldbookhttps://api.example.org', issuer: '' },
  ]

  for (const other of elsewhere) await expect(unseal(key, envelope, { ...binding, ...other })).rejects.toBeInstanceOf(EnvelopeRefused)
})

test('C1: refuses members it did not write, and text that is not the one writing of its bytes', async () => {
  const envelope = await seal(await aesKey(), utf8('hello world'), binding)

  expect(parseEnvelope(envelope)).toEqual(envelope)
  for (const bad of [
    null,
    'text',
    [],
    {},
    { ...envelope, header: {} },
    { ...envelope, aad: 'AA' },
    { ...envelope, tag: 1 },
    { ...envelope, iv: 'AA' },
  ]) {
    expect(parseEnvelope(bad)).toBeNull()
  }
  expect(parseEnvelope({ ...envelope, ciphertext: `${envelope.ciphertext}=` })).toBeNull()
})

function aesKey(): Promise<CryptoKey> {
  return crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
}

/** Each bit of each byte of the stored text, as a flipped bit on a disk would show. */
function* bitFlips(envelope: Envelope): Generator<Envelope> {
  for (const [member, text] of Object.entries<string>({ ...envelope })) {
    const bytes = utf8(text)
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      yield { ...envelope, [member]: new TextDecoder('latin1').decode(flipped) }
    }
  }
}

/** Each character replaced by every letter of the alphabet: also the unused bits of the last one. */
function* otherLetters(envelope: Envelope): Generator<Envelope> {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  for (const [member, text] of Object.entries<string>({ ...envelope })) {
    for (const position of [0, text.length - 1]) {
      for (const letter of alphabet) {
        if (letter !== text[position]) yield { ...envelope, [member]: `${text.slice(0, position)}${letter}${text.slice(position + 1)}` }
      }
    }
  }
}
