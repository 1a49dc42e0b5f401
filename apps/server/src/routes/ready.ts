import { sql } from 'kysely'
import { z } from 'zod'
import { busy } from '../http/api-error.ts'
import { answer, route } from '../http/route.ts'

export const readyRoute = route({
  method: 'GET',
  path: '/readyz',
  summary: 'Whether requests should be sent here: the database answers and the server is not stopping',
  bearer: false,
  answers: { 200: z.object({ ok: z.literal(true) }) },
  async handle(_exchange, { db, draining }) {
    if (draining.aborted) throw busy('The server is stopping.')
    await sql`select 1`.execute(db)
    return answer(200, { ok: true })
  },
})
