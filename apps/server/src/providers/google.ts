import type { GoogleConfig } from '../accounts/accounts-config.ts'
import { ApiError } from '../http/api-error.ts'
import { askProvider } from './ask-provider.ts'
import { IdTokenProvider } from './id-token-provider.ts'
import { type ForeignIdentity, invalidCredentials } from './provider-refusal.ts'

export class Google extends IdTokenProvider<GoogleConfig> {
  /** Exchanges the code (RFC 6749 section 4.1.3) and checks the ID token that comes back like any other. */
  async redeemCode(code: string): Promise<ForeignIdentity> {
    const { clientIds, clientSecret, redirectUri, tokenUrl } = this.config
    const [clientId = ''] = clientIds
    if (clientSecret === undefined)
      throw new ApiError(403, 'provider_off', 'Authorization codes of Google are switched off: no client secret is configured.')
    const form = new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uri: redirectUri,
    })
    const { status, body } = await askProvider(new URL(tokenUrl), { method: 'POST', body: form })
    if (status !== 200 || typeof body.id_token !== 'string') throw invalidCredentials('Google does not accept this authorization code.')
    return this.verifyIdToken(body.id_token)
  }
}
