import { z } from 'zod'
import { changePassword, prepareChange } from '../accounts/change-password.ts'
import { deleteUser, prepareDelete, requireFreshProof } from '../accounts/delete-user.ts'
import { password } from '../accounts/email-address.ts'
import { callFunction, findFunction } from '../accounts/functions.ts'
import { authorizeHolder } from '../accounts/holder.ts'
import { once, onceInPieces } from '../accounts/idempotency.ts'
import { link, prepareLink } from '../accounts/link.ts'
import { forgetUnlockKey, unlockKeyOf } from '../accounts/unlock-keys.ts'
import { whoamiShape } from '../accounts/whoami.ts'
import { keepWipeReceipt } from '../accounts/wipe-device.ts'
import { ApiError } from '../http/api-error.ts'
import { answer, type Route, route } from '../http/route.ts'
import { text } from '../http/text.ts'
import { credentialsShape } from '../providers/credentials.ts'
import { readRevokeHandle } from '../tokens/refresh-token.ts'
import { originOf } from './caller.ts'
import { tokenAnswerShape } from './token-answer.ts'

const mine = { method: 'POST', bearer: true, noStore: true } as const

const linkRoute = route({
  ...mine,
  path: '/v1/auth/link',
  summary: 'Give the caller one more way to log in; the user id stays',
  limit: 'credentials',
  body: credentialsShape,
  answers: { 200: whoamiShape },
  async handle(exchange, services) {
    const { body, claims, request } = exchange
    return once(
      services,
      { request, body, caller: claims.userId },
      async () => {
        await services.db.transaction().execute((tx) => authorizeHolder(tx, services, claims))
        return prepareLink(services, body, originOf(exchange, services))
      },
      async (tx, linkable) => link(tx, services, await authorizeHolder(tx, services, claims), linkable),
    )
  },
})

const deleteRoute = route({
  ...mine,
  path: '/v1/auth/delete',
  summary: 'Delete the caller’s account; needs a log-in of the last minutes, or a proof',
  limit: 'credentials',
  body: z.object({ proof: credentialsShape.optional() }),
  answers: { 200: z.object({}) },
  async handle(exchange, services) {
    const { body, claims, request } = exchange
    return once(
      services,
      { request, body, caller: claims.userId },
      async () => {
        await services.db.transaction().execute((tx) => authorizeHolder(tx, services, claims))
        return prepareDelete(services, body.proof, originOf(exchange, services))
      },
      async (tx, proof) => {
        const holder = await authorizeHolder(tx, services, claims)
        await requireFreshProof(tx, services, holder, proof)
        return { status: 200, body: {}, ended: await deleteUser(tx, services, holder.userId) }
      },
    )
  },
})

const passwordRoute = route({
  ...mine,
  path: '/v1/auth/password',
  summary: 'Change the password: every session ends and the caller gets a new one',
  limit: 'credentials',
  body: z.object({ current_password: password, new_password: password }),
  answers: { 200: tokenAnswerShape },
  async handle(exchange, services) {
    const { body, claims, request } = exchange
    return once(
      services,
      { request, body, caller: claims.userId },
      async () => {
        const { userId, deviceId } = await services.db.transaction().execute((tx) => authorizeHolder(tx, services, claims))
        return prepareChange(
          services,
          userId,
          { current: body.current_password, next: body.new_password },
          originOf(exchange, services, deviceId),
        )
      },
      async (tx, change) => changePassword(tx, services, await authorizeHolder(tx, services, claims), change),
    )
  },
})

const functionRoute = route({
  ...mine,
  path: '/v1/auth/functions/:name',
  summary: 'Call one of the server’s functions as the caller',
  body: z.object({ arguments: z.array(z.unknown()).max(100).default([]) }),
  answers: { 200: z.object({ result: z.unknown() }) },
  async handle({ body, claims, params, request }, services) {
    const run = findFunction(services, params.name ?? '')
    return onceInPieces(services, { request, body, caller: claims.userId }, () => callFunction(services, claims, run, body.arguments))
  },
})

const unlockKeyRoute = route({
  ...mine,
  path: '/v1/auth/unlock-key',
  summary: 'The key of this user and device, right after a log-in',
  answers: { 200: z.object({ unlock_key: z.string() }) },
  async handle({ claims }, services) {
    return services.db.transaction().execute(async (tx) => {
      const holder = await authorizeHolder(tx, services, claims)
      return answer(200, { unlock_key: await unlockKeyOf(tx, services, holder) })
    })
  },
})

const forgetUnlockKeyRoute = route({
  ...mine,
  method: 'DELETE',
  path: '/v1/auth/unlock-key',
  summary: 'Destroy the key of this user and device',
  answers: { 200: z.object({}) },
  async handle({ claims }, services) {
    return services.db.transaction().execute(async (tx) => {
      await forgetUnlockKey(tx, await authorizeHolder(tx, services, claims))
      return answer(200, {})
    })
  },
})

const wipeReceiptRoute = route({
  method: 'POST',
  path: '/v1/auth/wipe-receipt',
  summary: 'What a device that was told to erase its data has erased; the handle is that of its session',
  bearer: false,
  noStore: true,
  body: z.object({ handle: text(512), receipt: z.object({ discarded: z.int().optional(), erased: z.unknown().optional() }) }),
  answers: { 200: z.object({}) },
  async handle({ body }, { db, keys, nowMs }) {
    const sessionId = readRevokeHandle(keys, body.handle)
    if (sessionId === null) throw new ApiError(400, 'invalid_handle', 'This server did not make that handle.')
    await db.transaction().execute((tx) => keepWipeReceipt(tx, sessionId, body.receipt, nowMs()))
    return answer(200, {})
  },
})

export const userRoutes: readonly Route[] = [
  linkRoute,
  deleteRoute,
  passwordRoute,
  functionRoute,
  unlockKeyRoute,
  forgetUnlockKeyRoute,
  wipeReceiptRoute,
]
