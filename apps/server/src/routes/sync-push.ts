import { z } from 'zod'
import type { JsonObject } from '../database/schema.ts'
import { answer, route } from '../http/route.ts'
import { enterFence } from '../sync/fence.ts'
import { findCollection } from '../sync/find-collection.ts'
import { push } from '../sync/push.ts'
import { pushScopes, scopeParameter } from '../sync/scope.ts'
import { authorizeWrite } from '../tokens/bearer.ts'

const MAX_ROWS = 1000
/** Taken as it came: a schema that rebuilds objects would drop fields such as `__proto__`. */
const state = z.custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value))

export const pushRoute = route({
  method: 'POST',
  path: '/v1/sync/:collection/:schemaVersion/push',
  summary: 'Write documents; what the caller did not know of comes back as conflicts, and repeating a push changes nothing',
  bearer: true,
  noStore: true,
  query: [scopeParameter],
  body: z.array(z.object({ newDocumentState: state, assumedMasterState: state.nullish() })).max(MAX_ROWS),
  answers: {
    200: z.object({
      conflicts: z.array(z.record(z.string(), z.unknown())),
      rejected: z.array(z.object({ id: z.string(), code: z.string(), error: z.string() })),
    }),
  },
  async handle({ claims, url, params, body }, services) {
    const collection = findCollection(services.collections, params.collection, params.schemaVersion)
    const result = await services.db.transaction().execute(async (tx) => {
      const caller = await authorizeWrite(tx, services, claims)
      const scopes = await pushScopes(tx, collection, url.searchParams.getAll('scope'), caller)
      await enterFence(tx, scopes)
      return push(tx, { collection, scopes, userId: caller.userId, nowMs: services.nowMs() }, body)
    })
    for (const scope of result.changedScopes) services.bus.changed(collection.name, scope)
    return answer(200, { conflicts: result.conflicts, rejected: result.rejected })
  },
})
