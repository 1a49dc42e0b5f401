import { z } from 'zod'
import { ApiError } from '../http/api-error.ts'
import { answer, route } from '../http/route.ts'
import { authorize } from '../tokens/bearer.ts'
import { endOtherSessions, endSessions } from '../tokens/sessions.ts'

export const listSessionsRoute = route({
  method: 'GET',
  path: '/v1/auth/sessions',
  summary: 'The caller’s live sessions',
  bearer: true,
  noStore: true,
  answers: {
    200: z.object({
      sessions: z.array(
        z.object({ id: z.string(), current: z.boolean(), device_id: z.string(), created_at_ms: z.int(), last_used_at_ms: z.int() }),
      ),
    }),
  },
  async handle({ claims }, services) {
    return services.db.transaction().execute(async (tx) => {
      const caller = await authorize(tx, services, claims)
      const now = services.nowMs()
      const rows = await tx
        .selectFrom('sessions')
        .select(['id', 'device_id', 'created_at_ms', 'rotated_at_ms as last_used_at_ms'])
        .where('user_id', '=', caller.userId)
        .where('ended_at_ms', 'is', null)
        .where('idle_ends_at_ms', '>', now)
        .orderBy('id')
        .execute()
      return answer(200, { sessions: rows.map((row) => ({ ...row, current: row.id === caller.sessionId })) })
    })
  },
})

export const revokeSessionRoute = route({
  method: 'DELETE',
  path: '/v1/auth/sessions/:sessionId',
  summary: 'End one of the caller’s sessions',
  bearer: true,
  noStore: true,
  answers: { 200: z.object({}) },
  async handle({ claims, params }, services) {
    const ended = await services.db.transaction().execute(async (tx) => {
      const { userId } = await authorize(tx, services, claims)
      const wanted = params.sessionId ?? ''
      const own = z.uuid().safeParse(wanted).success
        ? await tx.selectFrom('sessions').select('id').where('id', '=', wanted).where('user_id', '=', userId).executeTakeFirst()
        : undefined
      if (!own) throw new ApiError(404, 'not_found', 'This user has no such session.')
      return endSessions(tx, { sessionId: own.id }, 'revoked', services.nowMs())
    })
    services.bus.sessionsEnded(ended)
    return answer(200, {})
  },
})

export const revokeOtherSessionsRoute = route({
  method: 'POST',
  path: '/v1/auth/sessions/revoke-others',
  summary: 'End all of the caller’s sessions but this one',
  bearer: true,
  noStore: true,
  answers: { 200: z.object({ revoked: z.int() }) },
  async handle({ claims }, services) {
    const ended = await services.db.transaction().execute(async (tx) => {
      const caller = await authorize(tx, services, claims)
      return endOtherSessions(tx, caller, 'revoked', services.nowMs())
    })
    services.bus.sessionsEnded(ended)
    return answer(200, { revoked: ended.length })
  },
})
