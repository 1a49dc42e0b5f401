import { z } from 'zod'
import { apiKeyName, apiKeyShape, createApiKey, deleteApiKey, findApiKey, listApiKeys, setApiKeyEnabled } from '../accounts/api-keys.ts'
import { authorizeHolder } from '../accounts/holder.ts'
import { once } from '../accounts/idempotency.ts'
import { answer, type Route, route } from '../http/route.ts'
import { audit } from '../operations/audit.ts'

const mine = { bearer: true, noStore: true } as const
const done = { 200: z.object({}) }

const createRoute = route({
  ...mine,
  method: 'POST',
  path: '/v1/auth/api-keys',
  summary: 'Make a key that logs in as the caller; it is shown here and never again',
  body: z.object({ name: apiKeyName }),
  answers: { 201: apiKeyShape.extend({ key: z.string() }) },
  async handle({ body, claims, request }, services) {
    return once(
      services,
      { request, body, caller: claims.userId },
      async () => {},
      async (tx) => {
        const { userId } = await authorizeHolder(tx, services, claims)
        const created = await createApiKey(tx, userId, body.name, services.nowMs())
        await audit(tx, services.nowMs(), { event: 'api-key-created', userId, detail: { keyId: created.id } })
        return { status: 201, body: created }
      },
    )
  },
})

const listRoute = route({
  ...mine,
  method: 'GET',
  path: '/v1/auth/api-keys',
  summary: 'The caller’s keys, without their secrets',
  answers: { 200: z.object({ api_keys: z.array(apiKeyShape) }) },
  async handle({ claims }, services) {
    return services.db.transaction().execute(async (tx) => {
      const { userId } = await authorizeHolder(tx, services, claims)
      return answer(200, { api_keys: await listApiKeys(tx, userId) })
    })
  },
})

const findRoute = route({
  ...mine,
  method: 'GET',
  path: '/v1/auth/api-keys/:keyId',
  summary: 'One of the caller’s keys',
  answers: { 200: apiKeyShape },
  async handle({ claims, params }, services) {
    return services.db.transaction().execute(async (tx) => {
      const { userId } = await authorizeHolder(tx, services, claims)
      return answer(200, await findApiKey(tx, userId, params.keyId ?? ''))
    })
  },
})

const switchRoute = (verb: 'enable' | 'disable') =>
  route({
    ...mine,
    method: 'PUT',
    path: `/v1/auth/api-keys/:keyId/${verb}`,
    summary: verb === 'enable' ? 'Let a key log in again' : 'Stop a key; its sessions end',
    answers: done,
    async handle({ claims, params }, services) {
      const now = services.nowMs()
      const ended = await services.db.transaction().execute(async (tx) => {
        const { userId } = await authorizeHolder(tx, services, claims)
        const keyId = params.keyId ?? ''
        const sessions = await setApiKeyEnabled(tx, userId, keyId, verb === 'enable', now)
        await audit(tx, now, { event: 'api-key-changed', userId, detail: { keyId, enabled: verb === 'enable' } })
        return sessions
      })
      services.bus.sessionsEnded(ended)
      return answer(200, {})
    },
  })

const deleteRoute = route({
  ...mine,
  method: 'DELETE',
  path: '/v1/auth/api-keys/:keyId',
  summary: 'Delete a key; its sessions end',
  answers: done,
  async handle({ claims, params }, services) {
    const now = services.nowMs()
    const ended = await services.db.transaction().execute(async (tx) => {
      const { userId } = await authorizeHolder(tx, services, claims)
      const keyId = params.keyId ?? ''
      const sessions = await deleteApiKey(tx, userId, keyId, now)
      await audit(tx, now, { event: 'api-key-deleted', userId, detail: { keyId } })
      return sessions
    })
    services.bus.sessionsEnded(ended)
    return answer(200, {})
  },
})

export const apiKeyRoutes: readonly Route[] = [
  createRoute,
  listRoute,
  findRoute,
  switchRoute('enable'),
  switchRoute('disable'),
  deleteRoute,
]
