import { z } from 'zod'
import { answer, route } from '../http/route.ts'

export const jwksRoute = route({
  method: 'GET',
  path: '/.well-known/jwks.json',
  summary: 'The public keys of the access tokens (RFC 7517)',
  bearer: false,
  answers: { 200: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }) },
  handle: (_exchange, { accessTokens }) => answer(200, accessTokens.jwks()),
})
