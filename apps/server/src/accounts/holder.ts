import type { Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import type { Services } from '../services.ts'
import type { AccessClaims } from '../tokens/access-token.ts'
import { authorizeWrite, type Caller } from '../tokens/bearer.ts'

/** A caller who logged in as a person: what changes the account itself is not open to holders of an API key. */
export interface Holder extends Caller {
  readonly provider: string
  readonly deviceId: string
  readonly loggedInAtMs: number
}

/** How long a log-in counts as fresh. */
export const FRESH_MS = 5 * 60_000

/** @throws {BearerRefused} @throws {ApiError} `not_with_api_key` */
export async function authorizeHolder(tx: Tx, services: Services, claims: AccessClaims): Promise<Holder> {
  const caller = await authorizeWrite(tx, services, claims)
  const session = await tx
    .selectFrom('sessions')
    .select(['provider', 'device_id as deviceId', 'created_at_ms as loggedInAtMs', 'api_key_id'])
    .where('id', '=', caller.sessionId)
    .executeTakeFirstOrThrow()
  if (session.api_key_id !== null)
    throw new ApiError(403, 'not_with_api_key', 'A session of an API key may not do this. Log in as a person.')
  return { ...caller, provider: session.provider, deviceId: session.deviceId, loggedInAtMs: session.loggedInAtMs }
}

export const isFresh = ({ loggedInAtMs }: Holder, nowMs: number) => nowMs - loggedInAtMs <= FRESH_MS

export const freshProofNeeded = () =>
  new ApiError(403, 'fresh_proof_needed', `This needs a log-in of the last ${FRESH_MS / 60_000} minutes. Log in again, or send a proof.`)
