import { type Auth, onAuthStateChanged } from '@firebase/auth'
import type { SyncSession$ } from '@nightlatch/sync-guard'
import { Observable } from 'rxjs'

const OVER = new Set([
  'auth/user-token-expired',
  'auth/user-disabled',
  'auth/user-not-found',
  'auth/invalid-user-token',
  'auth/id-token-revoked',
])

export function firebaseSession$(auth: Auth): SyncSession$ {
  const loginRequired = (error: Error & { readonly code?: string }) => {
    throw OVER.has(error.code ?? '')
      ? Object.assign(new Error('The Firebase session is over.'), { code: 'login-required', reason: 'expired' })
      : error
  }
  return new Observable((sessions) => {
    sessions.next(undefined)
    return onAuthStateChanged(auth, (user) => {
      sessions.next(
        user && {
          userId: user.uid,
          canKeep: !user.isAnonymous,
          getToken: ({ rejected } = {}) => user.getIdToken(rejected !== undefined).catch(loginRequired),
        },
      )
    })
  })
}
