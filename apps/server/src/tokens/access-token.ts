import { randomUUID } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'
import { BearerRefused } from '../http/api-error.ts'
import type { SigningKeys } from './signing-keys.ts'

/** What an access token says (RFC 9068): who, in which session, by which rotation of its refresh token. */
export interface AccessClaims {
  readonly userId: string
  readonly sessionId: string
  readonly rotation: number
  readonly expiresAtMs: number
}

/** What signing and checking take of `SigningKeys`. */
export type SigningKeyring = Pick<SigningKeys, 'signer' | 'find' | 'published'>

const MAX_TOKEN_LENGTH = 4096
const CLIENT_ID = 'nightlatch'
const claimsShape = z.object({
  sub: z.string(),
  sid: z.uuid(),
  gen: z.int().min(0),
  exp: z.int(),
  iat: z.int(),
  jti: z.string(),
  client_id: z.string(),
})

/** Makes and checks the access tokens of one issuer. */
export class AccessTokens {
  readonly #issuer: string
  readonly #keys: SigningKeyring
  readonly #nowMs: () => number

  constructor(issuer: string, keys: SigningKeyring, nowMs: () => number) {
    this.#issuer = issuer
    this.#keys = keys
    this.#nowMs = nowMs
  }

  jwks() {
    return { keys: this.#keys.published().map(({ publicJwk }) => publicJwk) }
  }

  async sign(subject: { readonly userId: string; readonly sessionId: string; readonly rotation: number }, lifeS: number): Promise<string> {
    const key = await this.#keys.signer()
    const issuedAtS = Math.floor(this.#nowMs() / 1000)
    return new SignJWT({ sid: subject.sessionId, gen: subject.rotation, client_id: CLIENT_ID })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: key.kid })
      .setIssuer(this.#issuer)
      .setAudience(this.#issuer)
      .setSubject(subject.userId)
      .setJti(randomUUID())
      .setIssuedAt(issuedAtS)
      .setExpirationTime(issuedAtS + lifeS)
      .sign(key.privateKey)
  }

  /**
   * Checks everything that can be known without the database (RFC 8725, RFC 9068 section 4): one algorithm, keys from a fixed map, exact issuer,
   * audience and type.
   *
   * @throws {BearerRefused} `token_invalid` or `token_expired`
   */
  async verify(token: string): Promise<AccessClaims> {
    if (token.length > MAX_TOKEN_LENGTH) throw notOurs()
    try {
      const { payload } = await jwtVerify(token, ({ kid }) => this.#publicKey(kid), {
        algorithms: ['ES256'],
        typ: 'at+jwt',
        issuer: this.#issuer,
        audience: this.#issuer,
        currentDate: new Date(this.#nowMs()),
      })
      const claims = claimsShape.parse(payload)
      return { userId: claims.sub, sessionId: claims.sid, rotation: claims.gen, expiresAtMs: claims.exp * 1000 }
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new BearerRefused('token_expired', 'The access token has expired. Refresh it.')
      throw notOurs()
    }
  }

  async #publicKey(kid: string | undefined) {
    const key = await this.#keys.find(kid)
    if (!key) throw new errors.JWKSNoMatchingKey()
    return key.publicKey
  }
}

const notOurs = () => new BearerRefused('token_invalid', 'The access token is not one of this server.')
