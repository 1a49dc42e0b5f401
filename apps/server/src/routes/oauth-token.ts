import { z } from 'zod'
import { ApiError } from '../http/api-error.ts'
import { answer, route } from '../http/route.ts'
import { text } from '../http/text.ts'
import { refreshSession, tokenAnswer } from '../tokens/sessions.ts'
import { tokenAnswerShape } from './token-answer.ts'

/** The token endpoint as generic OAuth clients know it (RFC 6749 section 6). Clients are public: a `client_id` may be sent and is not looked at. */
export const oauthTokenRoute = route({
  method: 'POST',
  path: '/oauth/token',
  summary: 'Exchange a refresh token for the next pair (OAuth 2.0)',
  bearer: false,
  noStore: true,
  bodyFormat: 'form',
  body: z.object({
    grant_type: text(64),
    refresh_token: text(512).optional(),
    client_id: text(256).optional(),
    attempt_id: text(128).min(1).optional(),
  }),
  answers: { 200: tokenAnswerShape },
  async handle({ body }, services) {
    if (body.grant_type !== 'refresh_token') throw new ApiError(400, 'unsupported_grant_type', 'Only "refresh_token" is served here.')
    if (body.refresh_token === undefined) throw new ApiError(400, 'invalid_request', '"refresh_token" is missing.')
    const session = await refreshSession(services, body.refresh_token, body.attempt_id)
    return answer(200, await tokenAnswer(services, session))
  },
})
