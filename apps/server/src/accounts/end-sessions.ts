import type { Tx } from '../database/schema.ts'
import type { EndReason } from '../http/api-error.ts'

/** Each of these ends live sessions and tells which; call `bus.sessionsEnded` with them after the commit. */

export const endSessionsOfApiKey = (tx: Tx, apiKeyId: string, nowMs: number) => end(tx, 'api_key_id', apiKeyId, 'revoked', nowMs)

export const endSessionsOfDevice = (tx: Tx, deviceId: string, reason: EndReason, nowMs: number) =>
  end(tx, 'device_id', deviceId, reason, nowMs)

async function end(
  tx: Tx,
  column: 'api_key_id' | 'device_id',
  value: string,
  reason: EndReason,
  nowMs: number,
): Promise<readonly string[]> {
  const ended = await tx
    .updateTable('sessions')
    .set({ ended_at_ms: nowMs, end_reason: reason })
    .where(column, '=', value)
    .where('ended_at_ms', 'is', null)
    .returning('id')
    .execute()
  return ended.map(({ id }) => id)
}
