import { BearerRefused } from '../http/api-error.ts'
import { route } from '../http/route.ts'
import { findCollection } from '../sync/find-collection.ts'
import { readableScopes, scopeParameter } from '../sync/scope.ts'
import { authorize } from '../tokens/bearer.ts'

export const streamRoute = route({
  method: 'GET',
  path: '/v1/sync/:collection/:schemaVersion/stream',
  summary: 'Says "RESYNC" whenever there may be something to pull, until the access token expires or the session ends',
  bearer: true,
  noStore: true,
  query: [scopeParameter],
  answers: { 200: 'text/event-stream' },
  async handle({ claims, url, params }, services) {
    const collection = findCollection(services.collections, params.collection, params.schemaVersion)
    const stream = services.streams.open(claims.sessionId, claims.expiresAtMs)
    try {
      const scopes = await services.db.transaction().execute(async (tx) => {
        const caller = await authorize(tx, services, claims)
        return readableScopes(tx, collection, url.searchParams.getAll('scope'), caller)
      })
      for (const { key } of scopes) services.streams.subscribe(stream, { collection: collection.name, scope: key })
    } catch (error) {
      stream.abandon()
      throw error
    }
    if (stream.ended) throw new BearerRefused('session_revoked', 'The session was ended.')
    stream.resync()
    return new Response(stream.body, { headers: { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' } })
  },
})
