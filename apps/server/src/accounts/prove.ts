import type { JsonObject, Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import type { WireCredentials } from '../providers/credentials.ts'
import { allowedProfile } from '../providers/profile-fields.ts'
import { type ForeignIdentity, invalidCredentials, providerOff } from '../providers/provider-refusal.ts'
import { readSubject } from '../providers/subject.ts'
import type { Services } from '../services.ts'
import { checkApiKey } from './api-keys.ts'
import { normaliseEmail } from './email-address.ts'
import type { Origin } from './guess-limits.ts'
import { checkPassword, EMAIL_PASSWORD, refuseUnconfirmed } from './password-check.ts'
import { within } from './within.ts'

/** What credentials have proven. Made outside of any transaction: it may take a hash, or a provider's answer. */
export interface Proof {
  readonly provider: string
  /** Of the identity; absent for API keys, which are no identity. */
  readonly subject?: string
  /** Present where the provider vouches for people this server has not met: the first log-in makes the account. */
  readonly vouched?: { readonly profile: JsonObject }
  readonly userId?: string
  readonly apiKeyId?: string
  /** Run in the transaction that acts on the proof. */
  settle(tx: Tx): Promise<void>
}

type Provable = Exclude<WireCredentials, { readonly provider: 'anonymous' }>

/** @throws {ApiError} what the provider's part says; `provider_off` */
export async function prove(services: Services, credentials: Provable, origin: Origin): Promise<Proof> {
  const { verifiers, config } = services.accounts
  if (!config.providers[credentials.provider]) throw providerOff(credentials.provider)
  switch (credentials.provider) {
    case 'email-password': {
      const checked = await checkPassword(services, credentials, origin)
      refuseUnconfirmed(checked.account)
      return { provider: EMAIL_PASSWORD, subject: normaliseEmail(credentials.email), settle: checked.settle }
    }
    case 'api-key': {
      const { id, userId } = await checkApiKey(services, credentials.key, origin)
      return { provider: 'api-key', userId, apiKeyId: id, settle: nothing }
    }
    case 'jwt':
      return vouched('jwt', await verifiers.jwt?.verify(credentials.token))
    case 'apple':
      return vouched('apple', await verifiers.apple?.verifyIdToken(credentials.id_token))
    case 'facebook':
      return vouched('facebook', await verifiers.facebook?.verify(credentials.access_token))
    case 'google':
      return vouched(
        'google',
        credentials.id_token === undefined
          ? await verifiers.google?.redeemCode(credentials.auth_code ?? '')
          : await verifiers.google?.verifyIdToken(credentials.id_token),
      )
    case 'function':
      return vouched('function', await askLogInFunction(services, credentials.payload))
  }
}

function vouched(provider: string, identity: ForeignIdentity | undefined): Proof {
  if (!identity) throw providerOff(provider)
  return { provider, subject: identity.subject, vouched: { profile: identity.profile }, settle: nothing }
}

/** Everything a profile has a name for; the function is the app's own code and knows what it hands over. */
const FUNCTION_FIELDS = ['name', 'email', 'first_name', 'last_name', 'picture_url', 'gender', 'birthday', 'min_age', 'max_age']

async function askLogInFunction({ accounts, log }: Services, payload: unknown): Promise<ForeignIdentity | undefined> {
  const { logIn } = accounts.hooks
  if (!logIn) return undefined
  let identity: Awaited<ReturnType<typeof logIn>>
  try {
    identity = await within(accounts.config.functionTimeoutS, () => logIn(payload))
  } catch (error) {
    log.error('log-in-function-failed', error)
    throw new ApiError(422, 'function_failed', 'The log-in function failed.')
  }
  if (!identity) throw invalidCredentials()
  return { subject: readSubject(identity.subject, 'subject'), profile: allowedProfile(identity.profile ?? {}, FUNCTION_FIELDS) }
}

const nothing = async () => {}
