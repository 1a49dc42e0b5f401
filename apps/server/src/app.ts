import { Hono } from 'hono'
import { cors } from 'hono/cors'
import { ApiError } from './http/api-error.ts'
import { readBody } from './http/read-body.ts'
import type { Route } from './http/route.ts'
import { devRevokeSessionsRoute } from './routes/dev-revoke-sessions.ts'
import { healthRoute } from './routes/health.ts'
import { jwksRoute } from './routes/jwks.ts'
import { loginRoute } from './routes/login.ts'
import { oauthMetadataRoute } from './routes/oauth-metadata.ts'
import { oauthRevokeRoute } from './routes/oauth-revoke.ts'
import { oauthTokenRoute } from './routes/oauth-token.ts'
import { profileRoute } from './routes/profile.ts'
import { refreshRoute } from './routes/refresh.ts'
import { registerRoute } from './routes/register.ts'
import { revokeRoute } from './routes/revoke.ts'
import { listSessionsRoute, revokeOtherSessionsRoute, revokeSessionRoute } from './routes/sessions.ts'
import { pullRoute } from './routes/sync-pull.ts'
import { pushRoute } from './routes/sync-push.ts'
import { streamRoute } from './routes/sync-stream.ts'
import type { Services } from './services.ts'
import { readBearer } from './tokens/bearer.ts'

/** Large enough for any batch a client should send, small enough to be held in memory many times. */
const MAX_BODY_BYTES = 1_048_576

export const publicRoutes: readonly Route[] = [
  registerRoute,
  loginRoute,
  refreshRoute,
  revokeRoute,
  profileRoute,
  listSessionsRoute,
  revokeSessionRoute,
  revokeOtherSessionsRoute,
  oauthTokenRoute,
  oauthRevokeRoute,
  oauthMetadataRoute,
  pullRoute,
  pushRoute,
  streamRoute,
  jwksRoute,
  healthRoute,
]

/** The connection a request came over; absent when the app is called without a server. */
interface Connection {
  readonly incoming?: { readonly socket: { readonly remoteAddress?: string | undefined } }
}

/** The whole server as a function from request to response. */
export function createApp(services: Services): { fetch(request: Request, connection?: Connection): Response | Promise<Response> } {
  const routes = services.devRoutes ? [...publicRoutes, devRevokeSessionsRoute] : publicRoutes
  const app = new Hono<{ Bindings: Connection }>()

  app.use(
    cors({
      origin: (origin) => (services.origins.includes(origin) ? origin : null),
      allowMethods: ['GET', 'POST', 'DELETE'],
      allowHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key'],
      exposeHeaders: ['Date', 'Retry-After', 'WWW-Authenticate'],
      maxAge: 7200,
    }),
  )

  for (const { method, path, bearer, body, bodyFormat, noStore, handle } of routes) {
    app.on(method, path, async (context) => {
      const request = context.req.raw
      if (noStore) context.header('Cache-Control', 'no-store')
      return handle(
        {
          request,
          url: new URL(request.url),
          params: context.req.param(),
          claims: bearer ? await readBearer(services, request) : undefined,
          body: body && (await readBody(request, body, MAX_BODY_BYTES, bodyFormat)),
          peer: context.env.incoming?.socket.remoteAddress,
        },
        services,
      )
    })
  }
  for (const path of new Set(routes.map((route) => route.path))) {
    const allowed = routes.filter((route) => route.path === path).map(({ method }) => method)
    app.all(path, () =>
      new ApiError(405, 'method_not_allowed', `Use ${allowed.join(' or ')}.`, { headers: { Allow: allowed.join(', ') } }).toResponse(),
    )
  }

  app.notFound(() => new ApiError(404, 'not_found', 'There is nothing here.').toResponse())
  app.onError((error, context) => {
    if (error instanceof ApiError) return context.req.path.startsWith('/oauth/') ? error.toOAuthResponse() : error.toResponse()
    services.log.error('request-failed', error, { method: context.req.method, route: context.req.routePath })
    return new ApiError(500, 'internal', 'The server failed. Try again later.').toResponse()
  })
  return { fetch: (request, connection = {}) => app.fetch(request, connection) }
}
