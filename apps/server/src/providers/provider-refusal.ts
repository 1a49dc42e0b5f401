import { ApiError } from '../http/api-error.ts'

/** Who an outside provider says somebody is. */
export interface ForeignIdentity {
  /** Unique and lasting at the provider. */
  readonly subject: string
  /** By wire names, already reduced to what the configuration allows. */
  readonly profile: Readonly<Record<string, unknown>>
}

export const providerOff = (provider: string) =>
  new ApiError(403, 'provider_off', `Logging in by ${provider} is switched off on this server.`)

/** The same answer whether an account, a key or a password is wrong. */
export const invalidCredentials = (message = 'The credentials are wrong.') => new ApiError(401, 'invalid_credentials', message)

export const malformed = () =>
  new ApiError(
    400,
    'provider_token_malformed',
    'This is not a JSON Web Token: it contains an invalid number of segments or a wrong encoding.',
  )

export const expired = () => new ApiError(400, 'provider_token_expired', 'The provider’s token has expired. Sign in there again.')

/** @param check what did not hold; it names a rule, never a value */
export const refused = (check: string) => new ApiError(400, 'provider_token_refused', `The provider’s token was refused: ${check}.`)

export const claimMissing = (claim: string) => new ApiError(400, 'claim_missing', `The provider’s token lacks the claim "${claim}".`)

export const providerAway = (cause: unknown) =>
  new ApiError(503, 'busy', 'The provider cannot be reached to check the token. Try again shortly.', {
    cause,
    headers: { 'Retry-After': '5' },
  })
