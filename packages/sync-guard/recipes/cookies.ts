import type { SyncSession } from '@nightlatch/sync-guard'

/** A cookie authenticates, so the token is empty; what is asked after a 401 is whether the cookie still counts. */
export function cookieSession(userId: string, whoAmI: string | URL): SyncSession {
  const getToken = async ({ rejected }: { readonly rejected?: string } = {}) => {
    if (rejected === undefined) return ''
    const { status } = await fetch(whoAmI, { credentials: 'include' })
    if (status === 401) throw Object.assign(new Error('The cookie has expired.'), { code: 'login-required', reason: 'expired' })
    return ''
  }
  return { userId, getToken }
}
