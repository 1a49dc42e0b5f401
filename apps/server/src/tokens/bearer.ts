import type { Tx } from '../database/schema.ts'
import { BearerRefused } from '../http/api-error.ts'
import type { Services } from '../services.ts'
import type { AccessClaims } from './access-token.ts'
import { overReason } from './sessions.ts'

/** Somebody whose session was live when the transaction looked. */
export interface Caller {
  readonly userId: string
  readonly sessionId: string
}

/** Reads the bearer token; the session behind it is looked up by `authorize`. */
export async function readBearer({ accessTokens }: Services, request: Request): Promise<AccessClaims> {
  const [, token] = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(request.headers.get('authorization') ?? '') ?? []
  if (!token) throw new BearerRefused('token_missing', 'This needs an access token: send "Authorization: Bearer …".')
  return accessTokens.verify(token)
}

/**
 * Reads the session in the caller's own transaction, so that a revocation counts from the moment it was committed.
 * Notes once per rotation that the client has the current pair.
 *
 * @throws {BearerRefused}
 */
export async function authorize(tx: Tx, services: Services, claims: AccessClaims): Promise<Caller> {
  return checkSession(tx, services, claims, await sessionOf(tx, claims).executeTakeFirst())
}

/**
 * As `authorize`, and holds the session's row until the commit: a write is either before a revocation or refused. The strongest lock from
 * the start, because two transactions that share one and then both note the rotation would wait for each other.
 */
export async function authorizeWrite(tx: Tx, services: Services, claims: AccessClaims): Promise<Caller> {
  return checkSession(tx, services, claims, await sessionOf(tx, claims).forNoKeyUpdate('sessions').executeTakeFirst())
}

function sessionOf(tx: Tx, claims: AccessClaims) {
  return tx
    .selectFrom('sessions')
    .innerJoin('users', 'users.id', 'sessions.user_id')
    .select(['rotation', 'confirmed_rotation', 'ended_at_ms', 'end_reason', 'idle_ends_at_ms', 'ends_at_ms'])
    .select(['users.disabled_at_ms', 'users.deleted_at_ms'])
    .where('sessions.id', '=', claims.sessionId)
    .where('sessions.user_id', '=', claims.userId)
}

type SessionAndUser = Awaited<ReturnType<ReturnType<typeof sessionOf>['executeTakeFirst']>>

async function checkSession(tx: Tx, { nowMs }: Services, claims: AccessClaims, session: SessionAndUser): Promise<Caller> {
  if (!session) throw new BearerRefused('token_invalid', 'The session of this access token is not known here.')
  if (session.deleted_at_ms !== null) throw new BearerRefused('user_deleted', 'The account was deleted.')
  if (session.disabled_at_ms !== null) throw new BearerRefused('user_disabled', 'The account is disabled.')
  const over = overReason(session, nowMs())
  if (over === 'expired') throw new BearerRefused('token_expired', 'The session has expired.')
  if (over) throw new BearerRefused('session_revoked', 'The session was ended.')

  if (claims.rotation === session.rotation && session.confirmed_rotation < session.rotation) {
    await tx
      .updateTable('sessions')
      .set({ confirmed_rotation: claims.rotation })
      .where('id', '=', claims.sessionId)
      .where('confirmed_rotation', '<', claims.rotation)
      .execute()
  }
  return { userId: claims.userId, sessionId: claims.sessionId }
}
