import type { Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import { audit } from '../operations/audit.ts'
import { invalidCredentials } from '../providers/provider-refusal.ts'
import type { Services } from '../services.ts'
import { type GrantedSession, startSession } from '../tokens/sessions.ts'
import { v7 } from '../tokens/uuid.ts'
import { knownDevice } from './devices.ts'
import { addIdentity, findIdentity, insertUser, updateIdentityProfile } from './identities.ts'
import type { Proof } from './prove.ts'

export interface LogIn {
  readonly session: GrantedSession
  readonly isNew: boolean
}

/**
 * Opens a session for whom the proof is of; makes the account where the provider vouches for somebody new.
 *
 * @throws {ApiError} `user_disabled`, `invalid_credentials`
 */
export async function logIn(tx: Tx, services: Services, proof: Proof, deviceId: string | undefined): Promise<LogIn> {
  await proof.settle(tx)
  const { userId, isNew } = await findOrMakeUser(tx, services, proof)
  await refuseDisabled(tx, userId)
  const device = await knownDevice(tx, userId, deviceId, services.nowMs())
  const session = await startSession(tx, services, { userId, deviceId: device, provider: proof.provider })
  if (proof.apiKeyId !== undefined) await tieToApiKey(tx, session.id, proof.apiKeyId)
  return { session, isNew }
}

/** A new user whom nobody can ever log in as again: the session is all there is. */
export async function logInAnonymously(tx: Tx, services: Services): Promise<LogIn> {
  const now = services.nowMs()
  const userId = v7(now)
  await insertUser(tx, userId, now)
  await addIdentity(tx, userId, { provider: 'anonymous', subject: userId, profile: {}, confirmedAtMs: now }, now)
  const device = await knownDevice(tx, userId, undefined, now)
  return { session: await startSession(tx, services, { userId, deviceId: device, provider: 'anonymous' }), isNew: true }
}

async function findOrMakeUser(
  tx: Tx,
  services: Services,
  { provider, subject, vouched, userId }: Proof,
): Promise<{ readonly userId: string; readonly isNew: boolean }> {
  if (userId !== undefined) return { userId, isNew: false }
  if (subject === undefined) throw invalidCredentials()
  const known = await findIdentity(tx, provider, subject)
  if (!known && !vouched) throw invalidCredentials()
  if (known) {
    if (vouched) await updateIdentityProfile(tx, known, vouched.profile)
    return { userId: known.userId, isNew: false }
  }
  const now = services.nowMs()
  const newId = v7(now)
  await insertUser(tx, newId, now)
  const added = await addIdentity(tx, newId, { provider, subject, profile: vouched?.profile ?? {}, confirmedAtMs: now }, now)
  if (added) {
    await audit(tx, now, { event: 'registered', userId: newId, detail: { provider } })
    return { userId: newId, isNew: true }
  }
  await tx.deleteFrom('users').where('id', '=', newId).execute() // the same person's other first log-in was faster
  const first = await findIdentity(tx, provider, subject)
  if (!first) throw invalidCredentials()
  return { userId: first.userId, isNew: false }
}

/** A key that was disabled since it was looked at is waited for here, or ends this session. */
async function tieToApiKey(tx: Tx, sessionId: string, apiKeyId: string): Promise<void> {
  const key = await tx.selectFrom('api_keys').select('disabled_at_ms').where('id', '=', apiKeyId).forShare().executeTakeFirst()
  if (!key || key.disabled_at_ms !== null) throw invalidCredentials('The API key is wrong, disabled or deleted.')
  await tx.updateTable('sessions').set({ api_key_id: apiKeyId }).where('id', '=', sessionId).execute()
}

export async function refuseDisabled(tx: Tx, userId: string): Promise<void> {
  const user = await tx
    .selectFrom('users')
    .select(['disabled_at_ms', 'deleted_at_ms'])
    .where('id', '=', userId)
    .forShare()
    .executeTakeFirst()
  if (!user || user.deleted_at_ms !== null) throw invalidCredentials()
  if (user.disabled_at_ms !== null) throw new ApiError(403, 'user_disabled', 'The account is disabled.')
}
