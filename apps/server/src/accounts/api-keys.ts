import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { Database, Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import { invalidCredentials } from '../providers/provider-refusal.ts'
import type { Services } from '../services.ts'
import { endSessions } from '../tokens/sessions.ts'
import { throttled } from './attempts.ts'
import { guessLimits, type Origin } from './guess-limits.ts'

/** The prefix lets secret scanners find keys that were published by mistake. */
const keyPattern = /^nlk_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/
const idPattern = /^[0-9a-f]{32}$/
const MAX_KEYS = 50

export const apiKeyName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/)
export const apiKeyShape = z.object({ id: z.string(), name: z.string(), enabled: z.boolean() })
export type ApiKeyInfo = z.output<typeof apiKeyShape>

/** @returns the key with its secret, which exists nowhere else. @throws {ApiError} `name_taken`, `too_many_keys` */
export async function createApiKey(tx: Tx, userId: string, name: string, nowMs: number): Promise<ApiKeyInfo & { readonly key: string }> {
  const { count } = await tx
    .selectFrom('api_keys')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('user_id', '=', userId)
    .executeTakeFirstOrThrow()
  if (Number(count) >= MAX_KEYS) throw new ApiError(409, 'too_many_keys', `A user has at most ${MAX_KEYS} keys. Delete one first.`)
  const id = randomBytes(16).toString('hex')
  const secret = randomBytes(32).toString('base64url')
  const created = await tx
    .insertInto('api_keys')
    .values({ id, user_id: userId, name, digest: digestOf(secret), created_at_ms: nowMs, disabled_at_ms: null })
    .onConflict((conflict) => conflict.columns(['user_id', 'name']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!created) throw new ApiError(409, 'name_taken', 'There is a key of this name already.')
  return { id, name, enabled: true, key: `nlk_${id}_${secret}` }
}

export async function listApiKeys(db: Database | Tx, userId: string): Promise<readonly ApiKeyInfo[]> {
  const rows = await db.selectFrom('api_keys').selectAll().where('user_id', '=', userId).orderBy('created_at_ms').orderBy('id').execute()
  return rows.map(toInfo)
}

/** @throws {ApiError} `not_found`, also for a key of somebody else */
export async function findApiKey(db: Database | Tx, userId: string, id: string): Promise<ApiKeyInfo> {
  const row = idPattern.test(id)
    ? await db.selectFrom('api_keys').selectAll().where('id', '=', id).where('user_id', '=', userId).executeTakeFirst()
    : undefined
  if (!row) throw new ApiError(404, 'not_found', 'This user has no such key.')
  return toInfo(row)
}

/** @returns the sessions that ended with it */
export async function setApiKeyEnabled(tx: Tx, userId: string, id: string, enabled: boolean, nowMs: number): Promise<readonly string[]> {
  await findApiKey(tx, userId, id)
  await tx
    .updateTable('api_keys')
    .set({ disabled_at_ms: enabled ? null : nowMs })
    .where('id', '=', id)
    .execute()
  return enabled ? [] : endSessions(tx, { apiKeyId: id }, 'revoked', nowMs)
}

export async function deleteApiKey(tx: Tx, userId: string, id: string, nowMs: number): Promise<readonly string[]> {
  await findApiKey(tx, userId, id)
  await tx.deleteFrom('api_keys').where('id', '=', id).execute()
  return endSessions(tx, { apiKeyId: id }, 'revoked', nowMs)
}

/** @throws {ApiError} `invalid_credentials`, whether the key is unknown, wrong or disabled */
export async function checkApiKey(
  services: Services,
  key: string,
  origin: Origin,
): Promise<{ readonly id: string; readonly userId: string }> {
  const [, id, secret] = keyPattern.exec(key) ?? []
  if (!id || !secret) throw wrongKey()
  const row = await services.db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst()
  const isRight = timingSafeEqual(Buffer.from(row?.digest ?? digestOf('')), Buffer.from(digestOf(secret)))
  if (row && isRight && row.disabled_at_ms === null) return { id, userId: row.user_id }
  // 256 random bits are not guessed; this keeps somebody from trying anyway at our cost.
  const { blockedForMs } = await services.accounts.attempts.begin(guessLimits(services, '', origin, false).counted.slice(1))
  throw blockedForMs > 0 ? throttled(blockedForMs) : wrongKey()
}

const wrongKey = () => invalidCredentials('The API key is wrong, disabled or deleted.')
const digestOf = (secret: string) => createHash('sha256').update(secret).digest('base64url')
const toInfo = (row: { readonly id: string; readonly name: string; readonly disabled_at_ms: number | null }): ApiKeyInfo => ({
  id: row.id,
  name: row.name,
  enabled: row.disabled_at_ms === null,
})
