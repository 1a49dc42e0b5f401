import type { Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import type { Services } from '../services.ts'
import { isGenuine, parseRefreshToken } from './refresh-token.ts'
import { endSessions } from './sessions.ts'

/** Ends the session that `token` is of. A token of no session changes nothing. */
export async function revokeByToken(services: Services, token: string): Promise<void> {
  const { db, bus, nowMs } = services
  const ended = await db.transaction().execute(async (tx) => {
    const sessionId = await sessionOf(tx, services, token)
    return sessionId === undefined ? [] : endSessions(tx, { sessionId }, 'revoked', nowMs())
  })
  bus.sessionsEnded(ended)
}

async function sessionOf(tx: Tx, { accessTokens, keys }: Services, token: string): Promise<string | undefined> {
  const refresh = parseRefreshToken(token)
  if (!refresh) return accessTokenSession(accessTokens, token)
  const session = await tx.selectFrom('sessions').select('salt').where('id', '=', refresh.sessionId).executeTakeFirst()
  return session && isGenuine(keys, refresh, session.salt) ? refresh.sessionId : undefined
}

async function accessTokenSession(accessTokens: Services['accessTokens'], token: string): Promise<string | undefined> {
  try {
    return (await accessTokens.verify(token)).sessionId
  } catch (error) {
    if (error instanceof ApiError) return undefined
    throw error
  }
}
