import { type JsonObject, json, type Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import type { Services } from '../services.ts'
import { type Collection, inShapeOfToday } from '../sync/collections.ts'
import { enterFence } from '../sync/fence.ts'
import { pull } from '../sync/pull.ts'
import { push } from '../sync/push.ts'
import { readableState } from '../sync/push-plan.ts'
import { pushScopes, readableScopes } from '../sync/scope.ts'
import type { AccessClaims } from '../tokens/access-token.ts'
import { authorize, authorizeWrite } from '../tokens/bearer.ts'
import { type FunctionCollection, type FunctionContext, FunctionRefusal, type UserFunction } from './account-hooks.ts'
import type { Done } from './idempotency.ts'
import { isStorableJson } from './json-value.ts'
import { whoami } from './whoami.ts'
import { TookTooLong, within } from './within.ts'

const MAX_LISTED = 1000

/** @throws {ApiError} `function_not_found` */
export function findFunction({ accounts }: Services, name: string): UserFunction {
  const { functions = {} } = accounts.hooks
  const found = Object.hasOwn(functions, name) ? functions[name] : undefined
  if (!found) throw new ApiError(404, 'function_not_found', 'There is no such function.')
  return found
}

/**
 * Calls a function as the user behind `claims`. What it reads and writes goes through transactions of its own, one per step.
 *
 * @throws {ApiError} the function's own refusal, `function_failed`, `function_timed_out` (422: repeating it would not help)
 */
export async function callFunction(services: Services, claims: AccessClaims, run: UserFunction, args: readonly unknown[]): Promise<Done> {
  const { user_id, identities, profile } = await services.db.transaction().execute(async (tx) => {
    const { userId } = await authorize(tx, services, claims)
    return whoami(tx, userId)
  })
  const seconds = services.accounts.config.functionTimeoutS
  const deadline = AbortSignal.timeout(seconds * 1000)
  const context: FunctionContext = {
    user: { id: user_id, identities, profile },
    customData: customDataOf(services, claims),
    collection: (name, scope = 'mine') => collectionOf(services, claims, name, scope),
    signal: deadline,
  }
  try {
    const result = await within(seconds, () => run(context, ...args))
    const plain: unknown = result === undefined ? null : JSON.parse(JSON.stringify(result))
    return { status: 200, body: { result: plain } }
  } catch (error) {
    if (error instanceof TookTooLong) throw new ApiError(422, 'function_timed_out', 'The function took too long.')
    if (error instanceof FunctionRefusal) throw new ApiError(422, error.code, error.message)
    if (error instanceof ApiError) throw error
    services.log.error('function-failed', error)
    throw new ApiError(422, 'function_failed', 'The function failed.')
  }
}

function customDataOf(services: Services, claims: AccessClaims): FunctionContext['customData'] {
  return {
    read: () =>
      services.db.transaction().execute(async (tx) => {
        const { userId } = await authorize(tx, services, claims)
        const { custom_data } = await tx.selectFrom('users').select('custom_data').where('id', '=', userId).executeTakeFirstOrThrow()
        return custom_data
      }),
    write: (customData) =>
      services.db.transaction().execute(async (tx) => {
        const { userId } = await authorizeWrite(tx, services, claims)
        await setCustomData(tx, userId, customData)
      }),
  }
}

/** @throws {FunctionRefusal} `custom_data_invalid`: larger than 64 KiB, or nothing that can be stored */
export async function setCustomData(tx: Tx, userId: string, customData: JsonObject): Promise<void> {
  if (!isStorableJson(customData, 65_536))
    throw new FunctionRefusal('custom_data_invalid', 'The custom data is too large or cannot be stored.')
  await tx
    .updateTable('users')
    .set({ custom_data: json(customData) })
    .where('id', '=', userId)
    .execute()
}

function collectionOf(services: Services, claims: AccessClaims, name: string, alias: string): FunctionCollection {
  const collection = services.collections.get(name)
  if (!collection) throw new FunctionRefusal('unknown_collection', `There is no collection "${name}".`)
  const write = async (id: string, next: JsonObject) => {
    const { rejected, changedScopes } = await services.db.transaction().execute(async (tx) => {
      const caller = await authorizeWrite(tx, services, claims)
      const scopes = await pushScopes(tx, collection, [alias], caller)
      await enterFence(tx, scopes)
      const assumedMasterState = await stored(tx, collection, scopes[0]?.key ?? '', id)
      const rows = [
        {
          newDocumentState: next,
          assumedMasterState: assumedMasterState && { ...assumedMasterState.data, _deleted: assumedMasterState.deleted },
        },
      ]
      return push(tx, { collection, scopes, userId: caller.userId, nowMs: services.nowMs() }, rows)
    })
    const [refusal] = rejected
    if (refusal) throw new FunctionRefusal(refusal.code, refusal.error)
    for (const scope of changedScopes) services.bus.changed(name, scope)
  }
  const read = <T>(work: (tx: Tx, scope: { readonly key: string; readonly alias: string }, userId: string) => Promise<T>) =>
    services.db.transaction().execute(async (tx) => {
      const caller = await authorize(tx, services, claims)
      const scopes = await readableScopes(tx, collection, [alias], caller)
      await enterFence(tx, scopes)
      return work(tx, scopes[0] ?? { key: '', alias }, caller.userId)
    })
  return {
    get: (id) =>
      read(async (tx, scope, userId) => {
        const row = await stored(tx, collection, scope.key, id)
        return row && withoutTombstone(readableState(collection, id, row, { scope: scope.alias, userId }))
      }),
    list: () =>
      read(async (tx, scope, userId) => {
        const scopes = [{ ...scope, writable: false }]
        const { documents } = await pull(tx, { collection, scopes, userId, limit: MAX_LISTED, since: undefined })
        return documents.map(withoutTombstone).filter((document) => document !== undefined)
      }),
    put: (document) => write(String(document[collection.primaryKey]), { ...document, _deleted: false }),
    async delete(id) {
      const row = await read((tx, scope) => stored(tx, collection, scope.key, id))
      if (row && !row.deleted) await write(id, { ...row.data, _deleted: true })
    },
  }
}

async function stored(tx: Tx, collection: Collection, scope: string, id: string) {
  const row = await tx
    .selectFrom('sync_docs')
    .select(['deleted', 'data'])
    .where('collection', '=', collection.name)
    .where('scope', '=', scope)
    .where('id', '=', id)
    .executeTakeFirst()
  return row && inShapeOfToday(collection, row)
}

function withoutTombstone({ _deleted, ...document }: JsonObject): JsonObject | undefined {
  return _deleted === true ? undefined : document
}
