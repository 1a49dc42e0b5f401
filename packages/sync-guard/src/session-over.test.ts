import { BehaviorSubject, filter, firstValueFrom } from 'rxjs'
import { expect, test } from 'vitest'
import { createSyncGuard } from './sync-guard.ts'
import type { SyncSession } from './sync-session.ts'

test('S2: a session that is shown again because it is over is asked why, also when nothing syncs', async () => {
  let isOver = false
  const session: SyncSession = {
    userId: 'ann',
    getToken: async () => {
      if (isOver) throw Object.assign(new Error('over'), { code: 'login-required', reason: 'revoked' })
      return 'token'
    },
  }
  const session$ = new BehaviorSubject<SyncSession | null | undefined>(session)
  const asked: unknown[] = []
  const guard = createSyncGuard({ id: 'same', session$, onLoginRequired: (event) => asked.push(event) })
  await guard.resume()
  expect(guard.state.kind).toBe('idle')

  isOver = true
  session$.next(session)

  const state = await firstValueFrom(guard.state$.pipe(filter(({ kind }) => kind === 'login-required')))
  expect(state).toMatchObject({ kind: 'login-required', reason: 'revoked' })
  session$.next(session)
  await Promise.resolve()
  expect(asked).toEqual([{ reason: 'revoked', userId: 'ann' }])
  await guard.dispose()
})

test('the state is the same object until something is different', async () => {
  const guard = createSyncGuard({ id: 'stable', session$: new BehaviorSubject<SyncSession | null | undefined>(null) })

  expect(guard.state).toBe(guard.state)

  await guard.dispose()
})
