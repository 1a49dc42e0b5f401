import type { AccountsConfig, AppleConfig } from '../accounts/accounts-config.ts'
import { CustomJwt } from './custom-jwt.ts'
import { Facebook } from './facebook.ts'
import { Google } from './google.ts'
import { IdTokenProvider } from './id-token-provider.ts'
import type { VerifyContext } from './id-tokens.ts'

/** The verifiers of the outside providers that are switched on. */
export interface Verifiers {
  readonly jwt: CustomJwt | undefined
  readonly google: Google | undefined
  readonly apple: IdTokenProvider<AppleConfig> | undefined
  readonly facebook: Facebook | undefined
}

export function openVerifiers({ providers, jwksCooldownS }: AccountsConfig, nowMs: () => number): Verifiers {
  const context: VerifyContext = { nowMs, jwksCooldownS }
  return {
    jwt: providers.jwt ? new CustomJwt(providers.jwt.issuers, context) : undefined,
    google: providers.google ? new Google(providers.google, context) : undefined,
    apple: providers.apple ? new IdTokenProvider(providers.apple, context) : undefined,
    facebook: providers.facebook ? new Facebook(providers.facebook, context) : undefined,
  }
}
