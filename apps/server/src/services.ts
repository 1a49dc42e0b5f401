import type { PasswordHasher } from './accounts/password-hasher.ts'
import type { Database } from './database/schema.ts'
import type { Log } from './log.ts'
import type { ChangeBus } from './sync/change-bus.ts'
import type { Collections } from './sync/collections.ts'
import type { StreamHub } from './sync/stream-hub.ts'
import type { AccessTokens } from './tokens/access-token.ts'
import type { Lifetimes } from './tokens/lifetimes.ts'
import type { ServerKeys } from './tokens/server-keys.ts'

/** What the handlers work with. One object per server; no module holds state of its own. */
export interface Services {
  readonly db: Database
  readonly keys: ServerKeys
  readonly accessTokens: AccessTokens
  readonly lifetimes: Lifetimes
  readonly hasher: PasswordHasher
  readonly collections: Collections
  readonly bus: ChangeBus
  readonly streams: StreamHub
  readonly log: Log
  readonly nowMs: () => number
  readonly devRoutes: boolean
  readonly origins: readonly string[]
}
