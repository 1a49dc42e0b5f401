import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { auth0Session } from '../recipes/auth0.ts'
import { cookieSession } from '../recipes/cookies.ts'
import { firebaseSession$ } from '../recipes/firebase.ts'
import { supabaseSession$ } from '../recipes/supabase.ts'

/** The recipes are compiled against the real packages' types; here the shapes of their answers are played by hand. */
test('Auth0: a login that is required is told as such, anything else is "not now"', async () => {
  let answer: () => Promise<string> = () => Promise.resolve('token')
  const client = { getUser: async () => ({ sub: 'auth0|1' }), getTokenSilently: () => answer() }
  const session = await auth0Session(client as never)
  expect(await session?.getToken()).toBe('token')
  answer = () => Promise.reject(Object.assign(new Error('x'), { error: 'login_required' }))
  await expect(session?.getToken({ rejected: 'token' })).rejects.toMatchObject({ code: 'login-required' })
  answer = () => Promise.reject(Object.assign(new Error('x'), { error: 'timeout' }))
  await expect(session?.getToken({ rejected: 'token' })).rejects.not.toHaveProperty('code')
})

test('Supabase: one session object over refreshes', async () => {
  const listeners: ((event: string, session: unknown) => void)[] = []
  const auth = {
    onAuthStateChange: (listener: (event: string, session: unknown) => void) => {
      listeners.push(listener)
      return { data: { subscription: { unsubscribe: () => {} } } }
    },
    getSession: async () => ({ data: { session: { access_token: 'one' } }, error: null }),
    refreshSession: async () => ({ data: { session: null }, error: { name: 'AuthApiError' } }),
  }
  const seen: unknown[] = []
  supabaseSession$({ auth } as never).subscribe((session) => seen.push(session))
  listeners[0]?.('SIGNED_IN', { user: { id: 'u' } })
  listeners[0]?.('TOKEN_REFRESHED', { user: { id: 'u' } })
  listeners[0]?.('SIGNED_OUT', null)
  expect(seen).toEqual([expect.objectContaining({ userId: 'u' }), null])
  const [session] = seen as [{ getToken(options?: object): Promise<string> }]
  expect(await session.getToken()).toBe('one')
  await expect(session.getToken({ rejected: 'one' })).rejects.toMatchObject({ code: 'login-required' })
})

test('Firebase: restoring, then the user; a disabled one must log in', async () => {
  const user = {
    uid: 'f',
    isAnonymous: true,
    getIdToken: () => Promise.reject(Object.assign(new Error('x'), { code: 'auth/user-disabled' })),
  }
  const auth = {
    onAuthStateChanged: (next: (user: unknown) => void) => {
      next(user)
      return () => {}
    },
  }
  const seen: unknown[] = []
  firebaseSession$(auth as never).subscribe((session) => seen.push(session))
  expect(seen).toEqual([undefined, expect.objectContaining({ userId: 'f', canKeep: false })])
  const [, session] = seen as [undefined, { getToken(): Promise<string> }]
  await expect(session.getToken()).rejects.toMatchObject({ code: 'login-required' })
})

test('cookies: the token is empty, and only the server can say that the cookie is over', async () => {
  const server = createServer((_, response) => response.writeHead(401).end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const session = cookieSession('u', `http://127.0.0.1:${(server.address() as AddressInfo).port}/me`)
  expect(await session.getToken()).toBe('')
  await expect(session.getToken({ rejected: '' })).rejects.toMatchObject({ code: 'login-required' })
})
