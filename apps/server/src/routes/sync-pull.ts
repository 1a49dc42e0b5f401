import { z } from 'zod'
import { invalidRequest } from '../http/api-error.ts'
import { answer, route } from '../http/route.ts'
import { checkpointShape, parseCheckpoint } from '../sync/checkpoint.ts'
import { enterFence } from '../sync/fence.ts'
import { findCollection } from '../sync/find-collection.ts'
import { pull } from '../sync/pull.ts'
import { readableScopes, scopeParameter } from '../sync/scope.ts'
import { authorize } from '../tokens/bearer.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

export const pullRoute = route({
  method: 'GET',
  path: '/v1/sync/:collection/:schemaVersion/pull',
  summary: 'The documents changed after a checkpoint; fewer than the limit means no more for now',
  bearer: true,
  noStore: true,
  query: [
    scopeParameter,
    { name: 'limit', description: 'At most so many documents: 1 to 1000, default 100' },
    { name: 'checkpoint', description: 'The checkpoint of the last answer, as JSON' },
  ],
  answers: { 200: z.object({ documents: z.array(z.record(z.string(), z.unknown())), checkpoint: checkpointShape }) },
  async handle({ claims, url, params }, services) {
    const collection = findCollection(services.collections, params.collection, params.schemaVersion)
    const limit = readLimit(url.searchParams.get('limit'))
    const since = parseCheckpoint(url.searchParams.get('checkpoint'))
    return services.db.transaction().execute(async (tx) => {
      const caller = await authorize(tx, services, claims)
      const scopes = await readableScopes(tx, collection, url.searchParams.getAll('scope'), caller)
      await enterFence(tx, scopes)
      return answer(200, await pull(tx, { collection, scopes, userId: caller.userId, limit, since }))
    })
  },
})

function readLimit(value: string | null): number {
  if (value === null) return DEFAULT_LIMIT
  if (!/^[1-9][0-9]{0,8}$/.test(value)) throw invalidRequest('"limit" must be a positive whole number.')
  return Math.min(Number(value), MAX_LIMIT)
}
