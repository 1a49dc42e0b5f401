import { z } from 'zod'
import { answer, route } from '../http/route.ts'

export const healthRoute = route({
  method: 'GET',
  path: '/healthz',
  summary: 'Whether the process answers',
  bearer: false,
  answers: { 200: z.object({ ok: z.literal(true) }) },
  handle: () => answer(200, { ok: true }),
})
