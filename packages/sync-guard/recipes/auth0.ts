import type { Auth0Client } from '@auth0/auth0-spa-js'
import type { SyncSession } from '@nightlatch/sync-guard'

const OVER = new Set(['login_required', 'consent_required', 'invalid_grant', 'missing_refresh_token'])

/** Feed the result into a `BehaviorSubject` after log-in, `null` after log-out. */
export async function auth0Session(client: Auth0Client): Promise<SyncSession | null> {
  const user = await client.getUser()
  if (!user?.sub) return null
  const over = () => Object.assign(new Error('The Auth0 session is over.'), { code: 'login-required', reason: 'expired' })
  const sort = (error: Error & { readonly error?: string }) => {
    throw OVER.has(error.error ?? '') ? over() : error
  }
  const getToken = async ({ rejected }: { readonly rejected?: string } = {}) => {
    const token = await client.getTokenSilently({ cacheMode: rejected === undefined ? 'on' : 'off' }).catch(sort)
    if (token === undefined) throw over()
    return token
  }
  return { userId: user.sub, getToken }
}
