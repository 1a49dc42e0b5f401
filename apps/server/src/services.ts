import type { Accounts } from './accounts/accounts.ts'
import type { PasswordHasher } from './accounts/password-hasher.ts'
import type { Database } from './database/schema.ts'
import type { Log } from './log.ts'
import type { Metrics } from './operations/metrics.ts'
import type { RequestLimits } from './operations/request-limits.ts'
import type { ChangeBus } from './sync/change-bus.ts'
import type { Collections } from './sync/collections.ts'
import type { StreamHub } from './sync/stream-hub.ts'
import type { Sweep } from './sync/sweep.ts'
import type { AccessTokens } from './tokens/access-token.ts'
import type { Lifetimes } from './tokens/lifetimes.ts'
import type { ServerKeys } from './tokens/server-keys.ts'
import type { SigningKeys } from './tokens/signing-keys.ts'

/** What the handlers work with. One object per server; no module holds state of its own. */
export interface Services {
  readonly db: Database
  /** `iss` of the access tokens. */
  readonly issuer: string
  readonly keys: ServerKeys
  readonly signingKeys: SigningKeys
  readonly accessTokens: AccessTokens
  readonly lifetimes: Lifetimes
  readonly hasher: PasswordHasher
  readonly accounts: Accounts
  readonly collections: Collections
  readonly bus: ChangeBus
  readonly streams: StreamHub
  /** Where several instances share the database. */
  readonly sweep: Sweep | undefined
  readonly log: Log
  readonly nowMs: () => number
  readonly devRoutes: boolean
  readonly origins: readonly string[]
  /** Proxies of one's own in front of the server. */
  readonly proxyHops: number
  readonly limits: RequestLimits | undefined
  readonly metrics: Metrics
  readonly openApi: object
  /** Aborted when the server has begun to stop. */
  readonly draining: AbortSignal
}
