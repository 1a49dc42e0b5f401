import { createHash, randomBytes } from 'node:crypto'
import { json, type NewSession, type SessionRow, type Tx } from '../database/schema.ts'
import { renewIncarnation } from '../database/server-identity.ts'
import { ApiError, type EndReason, InvalidGrant } from '../http/api-error.ts'
import { audit } from '../operations/audit.ts'
import type { Services } from '../services.ts'
import { accessLifeS, type SessionEnds, sessionEnds } from './lifetimes.ts'
import { isGenuine, makeRefreshToken, makeRevokeHandle, parseRefreshToken } from './refresh-token.ts'
import { decideRefresh, rememberAttempt } from './rotation.ts'
import { v7 } from './uuid.ts'

/** What a token answer is made of: nothing here is secret, the tokens follow from it and the keys. */
export type GrantedSession = Pick<SessionRow, 'id' | 'user_id' | 'device_id' | 'salt' | 'rotation'> & SessionEnds

/** Opens a session for somebody who has just proven who they are. */
export async function startSession(
  tx: Tx,
  { lifetimes, nowMs }: Services,
  { userId, deviceId, provider }: { readonly userId: string; readonly deviceId: string; readonly provider: string },
): Promise<GrantedSession> {
  const now = nowMs()
  const ends = sessionEnds(lifetimes, provider, now, now)
  const session = {
    id: v7(now),
    user_id: userId,
    device_id: deviceId,
    provider,
    salt: randomBytes(16).toString('base64url'),
    rotation: 0,
    confirmed_rotation: 0,
    rotated_at_ms: now,
    created_at_ms: now,
    idle_ends_at_ms: ends.idleEndsAtMs,
    ends_at_ms: ends.endsAtMs,
    ended_at_ms: null,
    end_reason: null,
    jkt: null,
  } satisfies Omit<NewSession, 'attempts'>
  await tx
    .insertInto('sessions')
    .values({ ...session, attempts: json([]) })
    .execute()
  await audit(tx, now, { event: 'logged-in', userId, sessionId: session.id, detail: { provider } })
  return { ...session, ...ends }
}

type RefreshResult = { readonly granted: GrantedSession } | { readonly refused: ApiError; readonly ended?: string }

/**
 * Answers a refresh token by the table in `rotation.ts`, in one transaction under the session's row lock. The answer is written after the
 * commit and can be made again from the row, so an answer that gets lost costs nothing.
 *
 * @throws {InvalidGrant} with a code if the session is over, without one if the token is not of a session known here
 * @throws {ApiError} `superseded`
 */
export async function refreshSession(services: Services, token: string, attemptId: string | undefined): Promise<GrantedSession> {
  const result = await services.db.transaction().execute((tx) => refreshInTransaction(tx, services, token, attemptId))
  if ('granted' in result) return result.granted
  if (result.ended) services.bus.sessionsEnded([result.ended]) // committed although the caller is refused
  throw result.refused
}

async function refreshInTransaction(tx: Tx, services: Services, token: string, attemptId: string | undefined): Promise<RefreshResult> {
  const presented = parseRefreshToken(token)
  if (!presented) return { refused: unknownSession() }
  const session = await tx.selectFrom('sessions').selectAll().where('id', '=', presented.sessionId).forUpdate().executeTakeFirst()
  if (!session || !isGenuine(services.keys, presented, session.salt)) return { refused: unknownSession() }

  const now = services.nowMs()
  const over = overReason(session, now)
  if (over) return { refused: sessionOver(over) }

  const attempt = attemptId === undefined ? undefined : createHash('sha256').update(attemptId).digest('base64url')
  const state = {
    rotation: session.rotation,
    confirmedRotation: session.confirmed_rotation,
    rotatedAtMs: session.rotated_at_ms,
    attempts: session.attempts,
  }
  const decision = decideRefresh(state, presented.rotation, attempt, now)
  services.metrics.count('nightlatch_refreshes_total', { decision })
  switch (decision) {
    case 'rotate':
      return { granted: await rotate(tx, services, session, presented.rotation, attempt) }
    case 'adopt':
      await renewIncarnation(tx)
      await audit(tx, now, { event: 'rollback-detected', userId: session.user_id, sessionId: session.id })
      return { granted: await rotate(tx, services, session, presented.rotation, attempt) }
    case 'repeat':
      return { granted: { ...session, idleEndsAtMs: session.idle_ends_at_ms, endsAtMs: session.ends_at_ms } }
    case 'superseded':
      return { refused: new ApiError(409, 'superseded', 'This session has newer tokens. Use those that were stored last.') }
    case 'reuse':
      await endSessions(tx, { sessionId: session.id }, 'reuse', now)
      await audit(tx, now, { event: 'refresh-reuse', userId: session.user_id, sessionId: session.id })
      return { refused: sessionOver('reuse'), ended: session.id }
  }
}

async function rotate(
  tx: Tx,
  { lifetimes, nowMs }: Services,
  session: SessionRow,
  from: number,
  attempt: string | undefined,
): Promise<GrantedSession> {
  const now = nowMs()
  const rotation = from + 1
  const ends = sessionEnds(lifetimes, session.provider, session.created_at_ms, now)
  await tx
    .updateTable('sessions')
    .set({
      rotation,
      confirmed_rotation: from, // whoever refreshes has the pair it refreshes with
      rotated_at_ms: now,
      attempts: json([...rememberAttempt(session.attempts, from, attempt)]),
      idle_ends_at_ms: ends.idleEndsAtMs,
      ends_at_ms: ends.endsAtMs,
    })
    .where('id', '=', session.id)
    .execute()
  return { ...session, rotation, ...ends }
}

type WhichSessions =
  | { readonly sessionId: string }
  | { readonly userId: string }
  | { readonly apiKeyId: string }
  | { readonly deviceId: string }

/** Ends live sessions and tells which; call `bus.sessionsEnded` with them after the commit. */
export async function endSessions(tx: Tx, which: WhichSessions, reason: EndReason, nowMs: number): Promise<readonly string[]> {
  const [column, value] = conditionOf(which)
  const ended = await tx
    .updateTable('sessions')
    .set({ ended_at_ms: nowMs, end_reason: reason })
    .where(column, '=', value)
    .where('ended_at_ms', 'is', null)
    .returning('id')
    .execute()
  return ended.map(({ id }) => id)
}

function conditionOf(which: WhichSessions) {
  if ('sessionId' in which) return ['id', which.sessionId] as const
  if ('userId' in which) return ['user_id', which.userId] as const
  return 'apiKeyId' in which ? (['api_key_id', which.apiKeyId] as const) : (['device_id', which.deviceId] as const)
}

/** Ends a user's sessions except the one that asks for it. */
export async function endOtherSessions(
  tx: Tx,
  keep: { readonly userId: string; readonly sessionId: string },
  reason: EndReason,
  nowMs: number,
): Promise<readonly string[]> {
  const ended = await tx
    .updateTable('sessions')
    .set({ ended_at_ms: nowMs, end_reason: reason })
    .where('user_id', '=', keep.userId)
    .where('id', '!=', keep.sessionId)
    .where('ended_at_ms', 'is', null)
    .returning('id')
    .execute()
  return ended.map(({ id }) => id)
}

export function overReason(
  session: Pick<SessionRow, 'ended_at_ms' | 'end_reason' | 'idle_ends_at_ms' | 'ends_at_ms'>,
  nowMs: number,
): EndReason | undefined {
  if (session.ended_at_ms !== null) return session.end_reason ?? 'revoked'
  if (nowMs >= session.idle_ends_at_ms || (session.ends_at_ms !== null && nowMs >= session.ends_at_ms)) return 'expired'
  return undefined
}

/** The token answer on the wire (RFC 6749 section 5.1, with what an offline client needs to know besides). */
export async function tokenAnswer({ accessTokens, keys, lifetimes, nowMs }: Services, session: GrantedSession) {
  const now = nowMs()
  const lifeS = accessLifeS(lifetimes, session, now)
  const subject = { userId: session.user_id, sessionId: session.id, rotation: session.rotation }
  return {
    token_type: 'Bearer',
    access_token: await accessTokens.sign(subject, lifeS),
    expires_in: lifeS,
    refresh_token: makeRefreshToken(keys, session, session.rotation),
    session_id: session.id,
    user_id: session.user_id,
    device_id: session.device_id,
    session_idle_ends_at_ms: session.idleEndsAtMs,
    session_ends_at_ms: session.endsAtMs,
    server_time_ms: now,
    revoke_handle: makeRevokeHandle(keys, session.id),
  }
}

const unknownSession = () => new InvalidGrant(undefined, 'This refresh token is not of a session known here.')

const sentences: Record<EndReason, string> = {
  expired: 'The session has expired. Log in again.',
  revoked: 'The session was ended. Log in again.',
  reuse: 'The session was ended because an old refresh token was used again. Log in again.',
  user_disabled: 'The account is disabled.',
  user_deleted: 'The account was deleted.',
  password_changed: 'The password was changed. Log in again.',
  device_wiped: 'The device was told to erase its data.',
}

const sessionOver = (reason: EndReason) => new InvalidGrant(reason, sentences[reason])
