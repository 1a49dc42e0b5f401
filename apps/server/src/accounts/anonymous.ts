import type { Services } from '../services.ts'
import { type GrantedSession, startSession } from '../tokens/sessions.ts'
import { v7 } from '../tokens/uuid.ts'
import { knownDevice } from './devices.ts'
import { insertUser } from './email-password.ts'

const PROVIDER = 'anonymous'

/** A new user whom nobody can ever log in as again: the session is all there is. */
export async function logInAnonymously(services: Services): Promise<GrantedSession> {
  return services.db.transaction().execute(async (tx) => {
    const now = services.nowMs()
    const userId = v7(now)
    await insertUser(tx, userId, {}, now)
    await tx
      .insertInto('identities')
      .values({ id: v7(now), user_id: userId, provider: PROVIDER, subject: userId, created_at_ms: now })
      .execute()
    const deviceId = await knownDevice(tx, userId, undefined, now)
    return startSession(tx, services, { userId, deviceId, provider: PROVIDER })
  })
}
