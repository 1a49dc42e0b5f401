import type { SyncSession as GrantedSession } from '@nightlatch/auth-core'
import type { SyncSession as GuardedSession } from '@nightlatch/sync-guard'
import { expectTypeOf, test } from 'vitest'

test("auth-core's and sync-guard's sessions are the same port", () => {
  expectTypeOf<GrantedSession>().toEqualTypeOf<GuardedSession>()
})
