import { Hono } from 'hono'
import { cors } from 'hono/cors'
import { secureHeaders } from 'hono/secure-headers'
import { ApiError } from './http/api-error.ts'
import { type Connection, callerAddress } from './http/caller-address.ts'
import { readBody } from './http/read-body.ts'
import type { Route } from './http/route.ts'
import { sortTrouble } from './operations/trouble.ts'
import type { Services } from './services.ts'
import { readBearer } from './tokens/bearer.ts'

/** Large enough for any batch a client should send, small enough to be held in memory many times. */
const MAX_BODY_BYTES = 1_048_576

/** The whole server as a function from request to response. */
export function createApp(
  services: Services,
  routes: readonly Route[],
): { fetch(request: Request, connection?: Connection): Response | Promise<Response> } {
  const app = new Hono<{ Bindings: Connection }>()
  app.use(
    secureHeaders({
      contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      crossOriginResourcePolicy: false,
      strictTransportSecurity: false,
    }),
    cors({
      origin: (origin) => (services.origins.includes(origin) ? origin : null),
      allowMethods: ['GET', 'POST', 'PUT', 'DELETE'],
      allowHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key'],
      exposeHeaders: ['Date', 'Retry-After', 'WWW-Authenticate'],
      maxAge: 7200,
    }),
  )

  for (const route of routes) {
    app.on(route.method, route.path, async (context) => {
      const startedAt = performance.now()
      const response = await answerWith(route, services, context.req.raw, context.env, context.req.param()).catch((error: unknown) =>
        refuse(services, route, error),
      )
      if (route.noStore) response.headers.set('Cache-Control', 'no-store')
      services.metrics.request(route.method, route.path, response.status, (performance.now() - startedAt) / 1000)
      return response
    })
  }
  for (const path of new Set(routes.map((route) => route.path))) {
    const allowed = routes.filter((route) => route.path === path).map(({ method }) => method)
    app.all(path, () =>
      new ApiError(405, 'method_not_allowed', `Use ${allowed.join(' or ')}.`, { headers: { Allow: allowed.join(', ') } }).toResponse(),
    )
  }
  app.notFound(() => new ApiError(404, 'not_found', 'There is nothing here.').toResponse())
  app.onError((error) => sortTrouble(error).toResponse())
  return { fetch: (request, connection = {}) => app.fetch(request, connection) }
}

async function answerWith(
  route: Route,
  services: Services,
  request: Request,
  connection: Connection,
  params: Readonly<Record<string, string>>,
): Promise<Response> {
  const peer = callerAddress(request, connection, services.proxyHops)
  const claims = route.bearer ? await readBearer(services, request) : undefined
  await services.limits?.take(route.limit ?? 'requests', claims?.sessionId ?? peer ?? 'nobody')
  const body = route.body && (await readBody(request, route.body, MAX_BODY_BYTES, route.bodyFormat))
  return route.handle(
    { request, url: new URL(request.url), params, claims, body, peer: connection.incoming?.socket.remoteAddress },
    services,
  )
}

function refuse({ log, metrics }: Services, { method, path, bodyFormat }: Route, error: unknown): Response {
  const refusal = sortTrouble(error)
  if (refusal.status >= 500) log.error('request-failed', refusal.cause ?? refusal, { method, route: path, status: refusal.status })
  metrics.count('nightlatch_refusals_total', { route: path, code: refusal.code ?? 'none' })
  return bodyFormat === 'form' ? refusal.toOAuthResponse() : refusal.toResponse()
}
