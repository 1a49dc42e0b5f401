import type { JwtIssuerConfig } from '../accounts/accounts-config.ts'
import { isStorableJson } from '../accounts/json-value.ts'
import { claimedIssuer, IdTokens, type VerifyContext } from './id-tokens.ts'
import { claimAt } from './profile-fields.ts'
import { claimMissing, type ForeignIdentity, refused } from './provider-refusal.ts'
import { readSubject } from './subject.ts'

const MAX_CLAIM = 4096

/** Log-in by tokens of issuers that the configuration trusts. */
export class CustomJwt {
  readonly #byIssuer: ReadonlyMap<string, { readonly config: JwtIssuerConfig; readonly tokens: IdTokens }>

  constructor(issuers: readonly JwtIssuerConfig[], context: VerifyContext) {
    this.#byIssuer = new Map(
      issuers.map((config) => {
        const trust = {
          issuers: [config.issuer],
          audience: [config.audience].flat(),
          algorithms: config.algorithms,
          jwksUri: config.jwksUri,
        }
        return [config.issuer, { config, tokens: new IdTokens(trust, context) }]
      }),
    )
  }

  async verify(token: string): Promise<ForeignIdentity> {
    const trusted = this.#byIssuer.get(claimedIssuer(token) ?? '')
    if (!trusted) throw refused('it is of another issuer')
    const { config } = trusted
    const claims = await trusted.tokens.verify(token)
    const subject = readSubject(claimAt(claims, config.subject), config.subject)
    return { subject: jwtSubject(config, subject), profile: mapClaims(claims, config.fields) }
  }
}

/** Two issuers may use the same `sub` for different people. */
export const jwtSubject = ({ name, issuer }: Pick<JwtIssuerConfig, 'name' | 'issuer'>, subject: string) => `${name ?? issuer}|${subject}`

function mapClaims(claims: Readonly<Record<string, unknown>>, fields: JwtIssuerConfig['fields']): Readonly<Record<string, unknown>> {
  const profile: Record<string, unknown> = {}
  for (const { claim, as, required } of fields) {
    const value = claimAt(claims, claim)
    if (value === undefined || value === null) {
      if (required) throw claimMissing(claim)
    } else if (isStorableJson(value, MAX_CLAIM)) profile[as] = value
    else throw refused(`its claim "${claim}" is too large or cannot be stored`)
  }
  return profile
}
