import { z } from 'zod'
import { ApiError } from '../http/api-error.ts'
import { answer, route } from '../http/route.ts'
import { text } from '../http/text.ts'
import { readRevokeHandle } from '../tokens/refresh-token.ts'
import { endSessions } from '../tokens/sessions.ts'

export const revokeRoute = route({
  method: 'POST',
  path: '/v1/auth/revoke',
  summary: 'End the session that a handle belongs to; one that is already gone counts as ended',
  bearer: false,
  noStore: true,
  body: z.object({ revoke_handle: text(512) }),
  answers: { 200: z.object({}) },
  async handle({ body }, { db, keys, bus, nowMs }) {
    const sessionId = readRevokeHandle(keys, body.revoke_handle)
    if (sessionId === null) throw new ApiError(400, 'invalid_handle', 'This server did not make that handle.')
    bus.sessionsEnded(await db.transaction().execute((tx) => endSessions(tx, { sessionId }, 'revoked', nowMs())))
    return answer(200, {})
  },
})
