import { type JsonObject, json, type Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import { audit } from '../operations/audit.ts'
import type { Services } from '../services.ts'
import { type GrantedSession, startSession } from '../tokens/sessions.ts'
import { v7 } from '../tokens/uuid.ts'
import { knownDevice } from './devices.ts'
import { normaliseEmail } from './email-address.ts'

const PROVIDER = 'email-password'
const MIN_LENGTH = 8

/**
 * Makes an account that may log in at once.
 *
 * @throws {ApiError} `weak_password`, `email_taken`
 */
export async function register(services: Services, email: string, password: string): Promise<void> {
  if (Array.from(password).length < MIN_LENGTH) {
    throw new ApiError(400, 'weak_password', `The password is too short: at least ${MIN_LENGTH} characters.`)
  }
  const phc = await services.hasher.hash(password)
  await services.db.transaction().execute(async (tx) => {
    const now = services.nowMs()
    const userId = v7(now)
    const identity = { id: v7(now), user_id: userId, provider: PROVIDER, subject: normaliseEmail(email), created_at_ms: now }
    await insertUser(tx, userId, { email: email.trim() }, now)
    const created = await tx
      .insertInto('identities')
      .values(identity)
      .onConflict((conflict) => conflict.doNothing())
      .returning('id')
      .executeTakeFirst()
    if (!created) throw new ApiError(409, 'email_taken', 'There is an account with this e-mail address already.')
    await tx.insertInto('passwords').values({ identity_id: identity.id, phc, changed_at_ms: now }).execute()
    await audit(tx, now, { event: 'registered', userId, detail: { provider: PROVIDER } })
  })
}

/** @throws {ApiError} `invalid_credentials`, the same and after the same time whether the account or the password is wrong; `user_disabled` */
export async function logInWithPassword(
  services: Services,
  login: { readonly email: string; readonly password: string; readonly deviceId: string | undefined },
): Promise<GrantedSession> {
  const account = await services.db
    .selectFrom('identities')
    .innerJoin('passwords', 'passwords.identity_id', 'identities.id')
    .select(['identities.id as identityId', 'user_id as userId', 'phc'])
    .where('provider', '=', PROVIDER)
    .where('subject', '=', normaliseEmail(login.email))
    .executeTakeFirst()
  const matches = await services.hasher.verify(account?.phc, login.password)
  if (!account || !matches) throw invalidCredentials()

  return services.db.transaction().execute(async (tx) => {
    // Read again under a lock: the password may have been changed, and every session ended, while it was being checked.
    const password = await tx
      .selectFrom('passwords')
      .select('phc')
      .where('identity_id', '=', account.identityId)
      .forShare()
      .executeTakeFirst()
    if (password?.phc !== account.phc) throw invalidCredentials()
    await refuseDisabled(tx, account.userId)
    const deviceId = await knownDevice(tx, account.userId, login.deviceId, services.nowMs())
    return startSession(tx, services, { userId: account.userId, deviceId, provider: PROVIDER })
  })
}

export async function insertUser(tx: Tx, id: string, profile: JsonObject, nowMs: number): Promise<void> {
  await tx
    .insertInto('users')
    .values({
      id,
      profile: json(profile),
      custom_data: json<JsonObject>({}),
      created_at_ms: nowMs,
      disabled_at_ms: null,
      deleted_at_ms: null,
    })
    .execute()
}

async function refuseDisabled(tx: Tx, userId: string): Promise<void> {
  const user = await tx.selectFrom('users').select('disabled_at_ms').where('id', '=', userId).forShare().executeTakeFirstOrThrow()
  if (user.disabled_at_ms !== null) throw new ApiError(403, 'user_disabled', 'The account is disabled.')
}

const invalidCredentials = () => new ApiError(401, 'invalid_credentials', 'The e-mail address or the password is wrong.')
