import type { AppleConfig, GoogleConfig } from '../accounts/accounts-config.ts'
import { IdTokens, type VerifyContext } from './id-tokens.ts'
import { allowedProfile, standardProfile } from './profile-fields.ts'
import type { ForeignIdentity } from './provider-refusal.ts'
import { readSubject } from './subject.ts'

/** A provider whose word is an ID token (OpenID Connect Core section 2), such as Apple. */
export class IdTokenProvider<Config extends AppleConfig | GoogleConfig> {
  protected readonly config: Config
  readonly #tokens: IdTokens

  constructor(config: Config, context: VerifyContext) {
    this.config = config
    this.#tokens = new IdTokens(
      { issuers: config.issuers, audience: config.clientIds, algorithms: ['RS256', 'ES256'], jwksUri: config.jwksUri },
      context,
    )
  }

  async verifyIdToken(token: string): Promise<ForeignIdentity> {
    const claims = await this.#tokens.verify(token)
    return { subject: readSubject(claims.sub), profile: allowedProfile(standardProfile(claims), this.config.fields) }
  }
}
