import { BearerRefused } from '../http/api-error.ts'
import { route } from '../http/route.ts'
import { findCollection } from '../sync/find-collection.ts'
import { readableScopes } from '../sync/scope.ts'
import { authorize } from '../tokens/bearer.ts'

export const streamRoute = route({
  method: 'GET',
  path: '/v1/sync/:collection/:schemaVersion/stream',
  summary: 'Says "RESYNC" whenever there may be something to pull, until the access token expires or the session ends',
  bearer: true,
  noStore: true,
  answers: { 200: 'text/event-stream' },
  async handle({ claims, url, params }, services) {
    const collection = findCollection(services.collections, params.collection, params.schemaVersion)
    const scopes = readableScopes(collection, url.searchParams.getAll('scope'), claims)
    const stream = services.streams.open({
      sessionId: claims.sessionId,
      collection: collection.name,
      scopeKeys: scopes.map(({ key }) => key),
      endsAtMs: claims.expiresAtMs,
    })
    try {
      await services.db.transaction().execute((tx) => authorize(tx, services, claims))
    } catch (error) {
      stream.abandon()
      throw error
    }
    if (stream.ended) throw new BearerRefused('session_revoked', 'The session was ended.')
    stream.resync()
    return new Response(stream.body, { headers: { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' } })
  },
})
