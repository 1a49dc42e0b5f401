import type { Tx } from '../database/schema.ts'
import { v7 } from '../tokens/uuid.ts'

/** The device that the client names, if it is one of this user's and was not wiped; else a new one. */
export async function knownDevice(tx: Tx, userId: string, deviceId: string | undefined, nowMs: number): Promise<string> {
  if (deviceId !== undefined) {
    const known = await tx
      .selectFrom('devices')
      .select('id')
      .where('id', '=', deviceId)
      .where('user_id', '=', userId)
      .where('wiped_at_ms', 'is', null)
      .executeTakeFirst()
    if (known) return known.id
  }
  const id = v7(nowMs)
  await tx.insertInto('devices').values({ id, user_id: userId, created_at_ms: nowMs }).execute()
  return id
}
