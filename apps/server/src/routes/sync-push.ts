import { z } from 'zod'
import type { JsonObject } from '../database/schema.ts'
import { answer, route } from '../http/route.ts'
import { findCollection } from '../sync/find-collection.ts'
import { push } from '../sync/push.ts'
import { writableScope } from '../sync/scope.ts'
import { authorize } from '../tokens/bearer.ts'

const MAX_ROWS = 1000
/** Taken as it came: a schema that rebuilds objects would drop fields such as `__proto__`. */
const state = z.custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value))

export const pushRoute = route({
  method: 'POST',
  path: '/v1/sync/:collection/:schemaVersion/push',
  summary: 'Write documents; what the caller did not know of comes back as conflicts, and repeating a push changes nothing',
  bearer: true,
  noStore: true,
  body: z.array(z.object({ newDocumentState: state, assumedMasterState: state.nullish() })).max(MAX_ROWS),
  answers: {
    200: z.object({
      conflicts: z.array(z.record(z.string(), z.unknown())),
      rejected: z.array(z.object({ id: z.string(), code: z.string(), error: z.string() })),
    }),
  },
  async handle({ claims, url, params, body }, services) {
    const collection = findCollection(services.collections, params.collection, params.schemaVersion)
    const { scopeKey, plan } = await services.db.transaction().execute(async (tx) => {
      const caller = await authorize(tx, services, claims)
      const scope = writableScope(collection, url.searchParams.getAll('scope'), caller)
      const target = { collection: collection.name, scopeKey: scope.key, userId: caller.userId, nowMs: services.nowMs() }
      return { scopeKey: scope.key, plan: await push(tx, target, body) }
    })
    if (plan.writes.length > 0) services.bus.changed(collection.name, scopeKey)
    return answer(200, { conflicts: plan.conflicts, rejected: plan.rejected })
  },
})
