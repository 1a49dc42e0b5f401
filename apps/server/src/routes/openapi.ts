import { z } from 'zod'
import { answer, route } from '../http/route.ts'

export const openApiRoute = route({
  method: 'GET',
  path: '/openapi.json',
  summary: 'This description (OpenAPI 3.1)',
  bearer: false,
  answers: { 200: z.record(z.string(), z.unknown()) },
  handle: (_exchange, { openApi }) => answer(200, openApi),
})
