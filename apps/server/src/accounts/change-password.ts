import type { Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import { audit } from '../operations/audit.ts'
import type { Services } from '../services.ts'
import { endSessions, startSession } from '../tokens/sessions.ts'
import { preparePassword, setPassword, tellPasswordChanged } from './email-flow.ts'
import type { Origin } from './guess-limits.ts'
import type { Holder } from './holder.ts'
import type { Done } from './idempotency.ts'
import { type CheckedPassword, checkPassword, EMAIL_PASSWORD } from './password-check.ts'

export interface PasswordChange {
  readonly checked: CheckedPassword
  readonly email: string
  readonly phc: string
}

/** @throws {ApiError} `no_password`, `invalid_credentials` (the current one is wrong), `weak_password`, `throttled` */
export async function prepareChange(
  services: Services,
  userId: string,
  change: { readonly current: string; readonly next: string },
  origin: Origin,
): Promise<PasswordChange> {
  const identity = await services.db
    .selectFrom('identities')
    .select(['subject', 'profile'])
    .where('user_id', '=', userId)
    .where('provider', '=', EMAIL_PASSWORD)
    .executeTakeFirst()
  if (!identity) throw new ApiError(409, 'no_password', 'This user has no password. Link an e-mail address and password first.')
  const checked = await checkPassword(services, { email: identity.subject, password: change.current }, origin)
  const email = typeof identity.profile.email === 'string' ? identity.profile.email : identity.subject
  return { checked, email, phc: await preparePassword(services, { email, password: change.next }) }
}

/** Ends every session of the old password, also this one: whoever shares it is out. The caller gets a new session on the same device (SV-6, SV-8). */
export async function changePassword(tx: Tx, services: Services, holder: Holder, change: PasswordChange): Promise<Done> {
  const now = services.nowMs()
  await change.checked.settle(tx)
  await setPassword(tx, change.checked.account.identityId, change.phc, now)
  const ended = await endSessions(tx, { userId: holder.userId }, 'password_changed', now)
  await audit(tx, now, { event: 'password-changed', userId: holder.userId, detail: { sessions: ended.length } })
  const session = await startSession(tx, services, { userId: holder.userId, deviceId: holder.deviceId, provider: holder.provider })
  return { status: 200, body: {}, session, ended, afterwards: () => tellPasswordChanged(services, change.email) }
}
