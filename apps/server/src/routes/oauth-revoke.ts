import { z } from 'zod'
import { route } from '../http/route.ts'
import { text } from '../http/text.ts'
import { revokeByToken } from '../tokens/revoke-by-token.ts'

/** RFC 7009: any rotation of the refresh token with a right MAC ends the session, so does a live access token; whatever else counts as done. */
export const oauthRevokeRoute = route({
  method: 'POST',
  path: '/oauth/revoke',
  summary: 'End the session of a token (OAuth 2.0 Token Revocation)',
  bearer: false,
  noStore: true,
  bodyFormat: 'form',
  body: z.object({ token: text(4096), token_type_hint: text(64).optional(), client_id: text(256).optional() }),
  answers: { 200: z.object({}) },
  async handle({ body }, services) {
    await revokeByToken(services, body.token)
    return Response.json({})
  },
})
