import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { AccessTokens } from './access-token.ts'

const now = Date.UTC(2027, 0, 1)
const issuer = 'https://auth.example.org'
const claims = { sid: crypto.randomUUID(), gen: 3, client_id: 'nightlatch' }

async function oneKey() {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const key = { kid: 'ours', publicJwk: await exportJWK(publicKey), publicKey, privateKey, signsUntilMs: now + 1 }
  const keyring = { signer: async () => key, find: async (kid?: string) => (kid === key.kid ? key : undefined), published: () => [key] }
  const sign = (header: object = {}, payload: object = {}) =>
    new SignJWT({ iss: issuer, aud: issuer, sub: 'ada', jti: '1', iat: now / 1000, exp: now / 1000 + 60, ...claims, ...payload })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'ours', ...header })
      .sign(privateKey)
  return { tokens: new AccessTokens(issuer, keyring, () => now), sign }
}

test('accepts what it signed', async () => {
  const { tokens } = await oneKey()
  const token = await tokens.sign({ userId: 'ada', sessionId: claims.sid, rotation: 3 }, 60)

  expect(await tokens.verify(token)).toEqual({ userId: 'ada', sessionId: claims.sid, rotation: 3, expiresAtMs: now + 60_000 })
})

test.each<[what: string, header: object, payload: object]>([
  ['JV-4: another kind of token (ID token, logout token, DPoP proof)', { typ: 'JWT' }, {}],
  ['JV-4: no kind', { typ: undefined }, {}],
  ['JV-3: another issuer', {}, { iss: `${issuer}/` }],
  ['JV-3: another audience', {}, { aud: 'https://api.example.org' }],
  ['JV-3: no subject', {}, { sub: undefined }],
  ['JV-3: no client', {}, { client_id: undefined }],
  ['JV-3: no id', {}, { jti: undefined }],
  ['JV-3: no end', {}, { exp: undefined }],
  ['JV-6: not valid yet', {}, { nbf: now / 1000 + 60 }],
  ['JV-2: an unknown key id', { kid: 'theirs' }, {}],
  ['JV-2: no key id', { kid: undefined }, {}],
  ['a session id that is none', {}, { sid: "' or 1=1" }],
  ['a rotation that is none', {}, { gen: -1 }],
])('refuses, although it is signed with the right key: %s', async (_what, header, payload) => {
  const { tokens, sign } = await oneKey()
  await expect(tokens.verify(await sign(header, payload))).rejects.toMatchObject({ code: 'token_invalid', status: 401 })
})

test('JV-6: tells an expired token from a wrong one, without leeway', async () => {
  const { tokens, sign } = await oneKey()
  await expect(tokens.verify(await sign({}, { exp: now / 1000 }))).rejects.toMatchObject({ code: 'token_expired' })
})
