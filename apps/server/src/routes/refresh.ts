import { z } from 'zod'
import { answer, route } from '../http/route.ts'
import { text } from '../http/text.ts'
import { refreshSession, tokenAnswer } from '../tokens/sessions.ts'
import { tokenAnswerShape } from './token-answer.ts'

export const refreshRoute = route({
  method: 'POST',
  path: '/v1/auth/refresh',
  summary: 'Exchange a refresh token for the next pair; repeating an attempt id gives the same pair',
  bearer: false,
  noStore: true,
  body: z.object({ refresh_token: text(512), attempt_id: text(128).min(1).optional() }),
  answers: { 200: tokenAnswerShape },
  async handle({ body }, services) {
    const session = await refreshSession(services, body.refresh_token, body.attempt_id)
    return answer(200, await tokenAnswer(services, session))
  },
})
