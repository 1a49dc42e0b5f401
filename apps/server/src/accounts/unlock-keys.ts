import { randomBytes } from 'node:crypto'
import type { Tx } from '../database/schema.ts'
import type { Services } from '../services.ts'
import { freshProofNeeded, type Holder, isFresh } from './holder.ts'

/**
 * A key for what this device has sealed for this user, made at the first request and the same ever after: it outlives log-outs, expired
 * and revoked sessions and password changes. It is given out only right after a log-in, so that a stolen token does not open a stolen device.
 *
 * @returns 32 bytes, base64url. @throws {ApiError} `fresh_proof_needed`
 */
export async function unlockKeyOf(tx: Tx, { keys, nowMs }: Services, holder: Holder): Promise<string> {
  if (!isFresh(holder, nowMs())) throw freshProofNeeded()
  const { userId, deviceId } = holder
  const context = `unlock key ${userId} ${deviceId}`
  await tx
    .insertInto('unlock_keys')
    .values({
      user_id: userId,
      device_id: deviceId,
      wrapped: keys.current.wrap(randomBytes(32).toString('base64url'), context),
      created_at_ms: nowMs(),
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const { wrapped } = await tx
    .selectFrom('unlock_keys')
    .select('wrapped')
    .where('user_id', '=', userId)
    .where('device_id', '=', deviceId)
    .executeTakeFirstOrThrow()
  const [kid = ''] = wrapped.split('.')
  const key = keys.find(kid)
  if (!key) throw new Error(`The key file lacks key "${kid}", which wraps unlock keys.`)
  return key.unwrap(wrapped, context)
}

export async function forgetUnlockKey(tx: Tx, { userId, deviceId }: { readonly userId: string; readonly deviceId: string }): Promise<void> {
  await tx.deleteFrom('unlock_keys').where('user_id', '=', userId).where('device_id', '=', deviceId).execute()
}
