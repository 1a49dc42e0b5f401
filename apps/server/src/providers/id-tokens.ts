import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { claimMissing, expired, malformed, providerAway, refused } from './provider-refusal.ts'

export interface Trust {
  /** `iss`, compared exactly. */
  readonly issuers: readonly string[]
  readonly audience: readonly string[]
  readonly algorithms: readonly string[]
  readonly jwksUri: string
}

export interface VerifyContext {
  readonly nowMs: () => number
  readonly jwksCooldownS: number
}

const CLOCK_TOLERANCE_S = 30
const KEYS_TIMEOUT_MS = 5000
/** Types of tokens that are signed by the same keys and say something else (RFC 8725 section 3.12). */
const OTHER_TYPES = new Set(['at+jwt', 'application/at+jwt', 'dpop+jwt', 'logout+jwt', 'secevent+jwt', 'token-introspection+jwt'])

/**
 * Checks tokens of one outside issuer. Keys come from the configured address only: `jku`, `x5u`, `jwk` and `x5c` in a token are not looked at,
 * and the algorithm must be listed and fit the key (RFC 8725 sections 3.1, 3.2, 3.10).
 */
export class IdTokens {
  readonly #trust: Trust
  readonly #nowMs: () => number
  readonly #keys: JWTVerifyGetKey

  constructor(trust: Trust, { nowMs, jwksCooldownS }: VerifyContext) {
    this.#trust = trust
    this.#nowMs = nowMs
    this.#keys = createRemoteJWKSet(new URL(trust.jwksUri), { cooldownDuration: jwksCooldownS * 1000, timeoutDuration: KEYS_TIMEOUT_MS })
  }

  /** @throws {ApiError} `provider_token_malformed`, `provider_token_expired`, `provider_token_refused`, `claim_missing`, `busy` */
  async verify(token: string): Promise<JWTPayload> {
    const { typ } = readHeader(token)
    if (typ !== undefined && OTHER_TYPES.has(typ.toLowerCase())) throw refused('it is a token of another type')
    const { issuers, audience, algorithms } = this.#trust
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        issuer: [...issuers],
        audience: [...audience],
        algorithms: [...algorithms],
        requiredClaims: ['exp'],
        clockTolerance: CLOCK_TOLERANCE_S,
        currentDate: new Date(this.#nowMs()),
      })
      return payload
    } catch (error) {
      throw sortVerifyError(error)
    }
  }
}

/** `iss` before anything is verified: good for choosing whose keys to ask, and for nothing else. */
export function claimedIssuer(token: string): string | undefined {
  try {
    return decodeJwt(token).iss
  } catch {
    throw malformed()
  }
}

function readHeader(token: string): { readonly typ?: string } {
  try {
    return decodeProtectedHeader(token)
  } catch {
    throw malformed()
  }
}

function sortVerifyError(error: unknown): Error {
  if (error instanceof errors.JWTExpired) return expired()
  if (error instanceof errors.JWTClaimValidationFailed)
    return error.reason === 'missing' ? claimMissing(error.claim) : refused(claimRule(error.claim))
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) return refused('its algorithm is not allowed')
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey)
    return refused('its signature does not fit the keys of the issuer')
  if (error instanceof errors.JWKSMultipleMatchingKeys) return refused('it does not say which key signed it')
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return malformed()
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || error instanceof errors.JWKInvalid)
    return providerAway(error)
  if (error instanceof TypeError && !('cause' in error)) return refused('its signature does not fit the keys of the issuer')
  return providerAway(error)
}

function claimRule(claim: string): string {
  if (claim === 'aud') return 'it is meant for another audience'
  if (claim === 'iss') return 'it is of another issuer'
  if (claim === 'nbf') return 'it is not valid yet'
  return `its claim "${claim}" is not as it should be`
}
