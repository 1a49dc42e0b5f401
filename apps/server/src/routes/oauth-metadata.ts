import { z } from 'zod'
import { answer, route } from '../http/route.ts'

export const oauthMetadataRoute = route({
  method: 'GET',
  path: '/.well-known/oauth-authorization-server',
  summary: 'Where everything is (RFC 8414)',
  bearer: false,
  answers: { 200: z.looseObject({ issuer: z.string(), token_endpoint: z.string() }) },
  handle({ url }, { issuer }) {
    const base = issuer.startsWith('http') ? issuer.replace(/\/$/, '') : url.origin
    return answer(200, {
      issuer,
      token_endpoint: `${base}/oauth/token`,
      revocation_endpoint: `${base}/oauth/revoke`,
      jwks_uri: `${base}/.well-known/jwks.json`,
      grant_types_supported: ['refresh_token'],
      response_types_supported: [],
      token_endpoint_auth_methods_supported: ['none'],
      revocation_endpoint_auth_methods_supported: ['none'],
    })
  },
})
