import { z } from 'zod'
import { ApiError } from '../http/api-error.ts'
import { answer, route } from '../http/route.ts'
import { text } from '../http/text.ts'
import { endSessions } from '../tokens/sessions.ts'

const loopback = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1'])

/** For development and demonstrations; served only with `--dev-routes` and to this machine only. */
export const devRevokeSessionsRoute = route({
  method: 'POST',
  path: '/v1/dev/revoke-sessions',
  summary: 'End all sessions of a user',
  bearer: false,
  body: z.object({ user_id: text(64) }),
  answers: { 200: z.object({ revoked: z.int() }) },
  async handle({ body, peer }, { db, bus, nowMs }) {
    if (peer === undefined || !loopback.has(peer)) throw new ApiError(404, 'not_found', 'There is nothing here.')
    const ended = await db.transaction().execute((tx) => endSessions(tx, { userId: body.user_id }, 'revoked', nowMs()))
    bus.sessionsEnded(ended)
    return answer(200, { revoked: ended.length })
  },
})
