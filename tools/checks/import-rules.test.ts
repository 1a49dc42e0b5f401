import { describe, expect, test } from 'vitest'
import { brokenImportRules } from './import-rules.ts'

describe('refuses', () => {
  test.each([
    ['packages/session-cache/src/vault.ts', `import { gate } from '@nightlatch/sync-guard'`, 'may import @nightlatch/auth-core'],
    ['packages/sync-guard/src/gate.ts', `import type { Vault } from '@nightlatch/session-cache'`, 'may import @nightlatch/auth-core'],
    ['packages/sync-guard/src/gate.ts', `import { AuthError } from '@nightlatch/auth-core'`, 'code only from'],
    ['packages/sync-guard/src/gate.ts', `import {\n  type AuthState,\n} from '@nightlatch/auth-core'`, 'code only from'],
    ['packages/sync-guard/src/gate.ts', `export * from '@nightlatch/auth-core/http'`, 'code only from'],
    ['packages/sync-guard/src/gate.ts', `const late = () => import('@nightlatch/auth-core')`, 'code only from'],
    ['packages/auth-core/src/app.ts', `import { openApp } from 'nightlatch'`, 'none of our packages'],
    ['packages/auth-core/src/app.ts', `import '../../session-cache/src/index.ts'`, 'leaves its workspace'],
    ['packages/auth-core/src/app.ts', `import { fakeBackend } from './testing/index.ts'`, 'there for tests'],
    ['packages/nightlatch/src/open-app.ts', `import { fakeWorld } from '@nightlatch/auth-core/testing'`, 'there for tests'],
    ['packages/auth-core/src/world/real-world.ts', `import type { Session } from '../session.ts'`, 'is a leaf'],
    ['packages/nightlatch/src/open-app.ts', `import { startServer } from '@nightlatch/server'`, 'may import @nightlatch/auth-core'],
    ['apps/fieldbook/src/main.tsx', `import { createApp } from '@nightlatch/auth-core'`, 'may import nightlatch'],
    ['apps/server/src/app.ts', `import type { Session } from '@nightlatch/auth-core'`, 'none of our packages'],
    ['packages/nightlatch/src/open-app.ts', `import { startServer } from '@nightlatch/server'`, 'may import @nightlatch/auth-core'],
    ['packages/nightlatch/src/open-app.ts', `import { openApp } from 'nightlatch'`, 'may import @nightlatch/auth-core'],
    ['packages/auth-core/src/http/helpers.ts', ``, 'name it after what it is about'],
  ])('%s: %s', (path, source, reason) => {
    expect(brokenImportRules(path, source)).toEqual([expect.stringContaining(reason)])
  })
})

describe('allows', () => {
  test.each([
    ['packages/nightlatch/readme/generated/whole.ts', `import { openApp } from 'nightlatch'`],
    ['packages/nightlatch/src/open-app.test.ts', `import { startTestServer } from '@nightlatch/server/testing'`],
    ['packages/sync-guard/src/gate.ts', `import type { AuthState } from '@nightlatch/auth-core'`],
    ['packages/sync-guard/src/gate.ts', `import { realWorld } from '@nightlatch/auth-core/world'`],
    ['packages/sync-guard/src/gate.ts', `export type State = import('@nightlatch/auth-core').AuthState`],
    ['packages/sync-guard/src/gate.test.ts', `import { fakeWorld } from '@nightlatch/auth-core/testing'`],
    ['packages/sync-guard/src/gate.ts', `/**\n * import { openApp } from 'nightlatch'\n */`],
    ['packages/nightlatch/src/open-app.test.ts', `import { startTestServer } from '@nightlatch/server/testing'`],
    ['packages/nightlatch/src/index.ts', `export * from '@nightlatch/session-cache'`],
    ['packages/auth-core/src/app.ts', `import { nextAuthState } from './auth-state.ts'`],
    ['apps/fieldbook/src/main.tsx', `import { openApp } from 'nightlatch'\nexport const Main = () => <p>from</p>`],
  ])('%s: %s', (path, source) => {
    expect(brokenImportRules(path, source)).toEqual([])
  })
})
