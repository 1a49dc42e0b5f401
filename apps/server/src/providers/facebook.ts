import { createHmac } from 'node:crypto'
import type { FacebookConfig } from '../accounts/accounts-config.ts'
import { ApiError } from '../http/api-error.ts'
import { askProvider } from './ask-provider.ts'
import { IdTokens, type VerifyContext } from './id-tokens.ts'
import { allowedProfile, standardProfile } from './profile-fields.ts'
import { expired, type ForeignIdentity, invalidCredentials, refused } from './provider-refusal.ts'
import { readSubject } from './subject.ts'

type Fields = Readonly<Record<string, unknown>>

const GRAPH_FIELDS = 'id,name,email,first_name,last_name,gender,birthday,age_range'

/**
 * Log-in by Facebook: ID tokens of Limited Login, or classic access tokens, which Facebook is asked about.
 * The address of the picture is never taken, whatever the configuration allows: it carries an access token of the person.
 */
export class Facebook {
  readonly #config: FacebookConfig
  readonly #tokens: IdTokens
  readonly #nowMs: () => number

  constructor(config: FacebookConfig, context: VerifyContext) {
    this.#config = { ...config, fields: config.fields.filter((field) => field !== 'picture_url') }
    this.#nowMs = context.nowMs
    this.#tokens = new IdTokens(
      { issuers: config.issuers, audience: [config.appId], algorithms: ['RS256'], jwksUri: config.jwksUri },
      context,
    )
  }

  async verify(token: string): Promise<ForeignIdentity> {
    return token.split('.').length === 3 ? this.#verifyLimited(token) : this.#verifyClassic(token)
  }

  async #verifyLimited(token: string): Promise<ForeignIdentity> {
    const claims = await this.#tokens.verify(token)
    const profile = {
      ...standardProfile(claims),
      gender: claims.user_gender,
      birthday: claims.user_birthday,
      ...ages(claims.user_age_range),
    }
    return { subject: readSubject(claims.sub), profile: allowedProfile(profile, this.#config.fields) }
  }

  async #verifyClassic(token: string): Promise<ForeignIdentity> {
    const { appId, appSecret, graphUrl, fields } = this.#config
    if (appSecret === undefined)
      throw new ApiError(403, 'provider_off', 'Classic access tokens of Facebook are switched off: no app secret is configured.')
    const inspect = new URL(`${graphUrl}/debug_token`)
    inspect.searchParams.set('input_token', token) // Facebook takes it nowhere else
    const { body } = await askProvider(inspect, { headers: { Authorization: `Bearer ${appId}|${appSecret}` } })
    const facts = asFields(body.data)
    const endsAtS = Number(facts.expires_at ?? 0)
    if (endsAtS > 0 && endsAtS * 1000 <= this.#nowMs()) throw expired()
    if (facts.is_valid !== true) throw invalidCredentials('Facebook does not accept this access token.')
    if (String(facts.app_id) !== appId) throw refused('it is meant for another audience')
    const subject = readSubject(facts.user_id, 'user_id')

    const me = new URL(`${graphUrl}/me`)
    me.searchParams.set('fields', GRAPH_FIELDS)
    me.searchParams.set('appsecret_proof', createHmac('sha256', appSecret).update(token).digest('hex'))
    const person = await askProvider(me, { headers: { Authorization: `Bearer ${token}` } })
    if (person.status !== 200 || String(person.body.id) !== subject) throw invalidCredentials('Facebook does not accept this access token.')
    return { subject, profile: allowedProfile({ ...person.body, ...ages(person.body.age_range) }, fields) }
  }
}

function ages(range: unknown): Fields {
  const { min, max } = asFields(range)
  return { min_age: min, max_age: max }
}

const asFields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})
