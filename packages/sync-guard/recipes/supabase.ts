import type { SyncSession$ } from '@nightlatch/sync-guard'
import type { SupabaseClient } from '@supabase/supabase-js'
import { distinctUntilChanged, map, Observable } from 'rxjs'

export function supabaseSession$(client: SupabaseClient): SyncSession$ {
  const getToken = async ({ rejected }: { readonly rejected?: string } = {}) => {
    const { data, error } = await (rejected === undefined ? client.auth.getSession() : client.auth.refreshSession())
    if (data.session) return data.session.access_token
    if (error && error.name === 'AuthRetryableFetchError') throw error // no network: not now
    throw Object.assign(new Error('The Supabase session is over.'), { code: 'login-required', reason: 'expired' })
  }
  const user$ = new Observable<{ readonly id: string; readonly is_anonymous?: boolean } | null>((users) => {
    const { data } = client.auth.onAuthStateChange((_, session) => users.next(session?.user ?? null))
    return () => data.subscription.unsubscribe()
  })
  return user$.pipe(
    distinctUntilChanged((a, b) => a?.id === b?.id), // a refresh is no new session
    map((user) => user && { userId: user.id, canKeep: user.is_anonymous !== true, getToken }),
  )
}
