import { type JsonObject, json, type Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import { audit } from '../operations/audit.ts'
import { endSessions } from '../tokens/sessions.ts'

/**
 * Tells a device to erase what it keeps: its sessions end with `device_wiped`, its unlock key goes, and it is not the same device any more.
 *
 * @returns the ended sessions. @throws {ApiError} `not_found`
 */
export async function wipeDevice(tx: Tx, deviceId: string, nowMs: number): Promise<readonly string[]> {
  const device = await tx
    .updateTable('devices')
    .set({ wiped_at_ms: nowMs })
    .where('id', '=', deviceId)
    .returning('user_id')
    .executeTakeFirst()
  if (!device) throw new ApiError(404, 'not_found', 'There is no such device.')
  const ended = await endSessions(tx, { deviceId }, 'device_wiped', nowMs)
  // A session that was over for another reason is told as well: what it left on the device is still there.
  await tx.updateTable('sessions').set({ end_reason: 'device_wiped' }).where('device_id', '=', deviceId).execute()
  await tx.deleteFrom('unlock_keys').where('device_id', '=', deviceId).execute()
  await audit(tx, nowMs, { event: 'device-wiped', userId: device.user_id, detail: { deviceId, sessions: ended.length } })
  return ended
}

/** Keeps what the device says it erased. Without a wipe before it, there is nothing to confirm. */
export async function keepWipeReceipt(tx: Tx, sessionId: string, receipt: JsonObject, nowMs: number): Promise<void> {
  const session = await tx.selectFrom('sessions').select(['device_id', 'user_id']).where('id', '=', sessionId).executeTakeFirst()
  if (!session) return
  const kept = await tx
    .updateTable('devices')
    .set({ wipe_receipt: json({ ...receipt, receivedAtMs: nowMs }) })
    .where('id', '=', session.device_id)
    .where('wiped_at_ms', 'is not', null)
    .where('wipe_receipt', 'is', null)
    .returning('id')
    .executeTakeFirst()
  if (kept)
    await audit(tx, nowMs, { event: 'device-wipe-confirmed', userId: session.user_id, sessionId, detail: { deviceId: session.device_id } })
}
