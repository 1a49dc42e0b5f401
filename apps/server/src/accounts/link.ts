import type { Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import { audit } from '../operations/audit.ts'
import type { WireCredentials } from '../providers/credentials.ts'
import { invalidCredentials } from '../providers/provider-refusal.ts'
import type { Services } from '../services.ts'
import { normaliseEmail } from './email-address.ts'
import { addEmailIdentity, beginConfirmation, preparePassword } from './email-flow.ts'
import type { Origin } from './guess-limits.ts'
import type { Holder } from './holder.ts'
import type { Done } from './idempotency.ts'
import { addIdentity, findIdentity, mergeProfiles, updateIdentityProfile } from './identities.ts'
import { EMAIL_PASSWORD, findPasswordAccount } from './password-check.ts'
import { type Proof, prove } from './prove.ts'
import { whoami } from './whoami.ts'

/** What linking takes before its transaction: a proof of an identity, or the hash of a new password. */
export type Linkable =
  | { readonly kind: 'proof'; readonly proof: Proof }
  | { readonly kind: 'new-email'; readonly email: string; readonly phc: string }

/** @throws {ApiError} `not_linkable`, and whatever the proof is refused with */
export async function prepareLink(services: Services, credentials: WireCredentials, origin: Origin): Promise<Linkable> {
  if (credentials.provider === 'anonymous' || credentials.provider === 'api-key')
    throw new ApiError(400, 'not_linkable', `Credentials of "${credentials.provider}" are no identity that could be linked.`)
  if (credentials.provider === EMAIL_PASSWORD && !(await findPasswordAccount(services.db, normaliseEmail(credentials.email))))
    return { kind: 'new-email', email: credentials.email, phc: await preparePassword(services, credentials) }
  return { kind: 'proof', proof: await prove(services, credentials, origin) }
}

/**
 * Gives the caller one more way to log in. The user id stays. Linking what is linked already changes nothing.
 *
 * @throws {ApiError} `identity_taken` when it belongs to somebody else, `provider_linked` for a second e-mail address
 */
export async function link(tx: Tx, services: Services, holder: Holder, linkable: Linkable): Promise<Done> {
  const { userId } = holder
  if (linkable.kind === 'new-email') {
    await refuseSecondEmail(tx, userId)
    const identityId = await addEmailIdentity(tx, services, userId, linkable.email, linkable.phc)
    const { afterwards } = await beginConfirmation(tx, services, identityId, linkable.email)
    return { ...(await linked(tx, services, userId, EMAIL_PASSWORD)), ...(afterwards ? { afterwards } : {}) }
  }
  const { proof } = linkable
  await proof.settle(tx)
  const subject = proof.subject ?? ''
  const known = await findIdentity(tx, proof.provider, subject)
  if (known?.userId === userId) {
    if (proof.vouched) await updateIdentityProfile(tx, known, proof.vouched.profile)
    return { status: 200, body: await whoami(tx, userId) }
  }
  if (proof.provider === EMAIL_PASSWORD) await refuseSecondEmail(tx, userId)
  if (known) await takeOver(tx, known, userId)
  else {
    const now = services.nowMs()
    if (!proof.vouched) throw invalidCredentials()
    const added = await addIdentity(
      tx,
      userId,
      { provider: proof.provider, subject, profile: proof.vouched.profile, confirmedAtMs: now },
      now,
    )
    if (added === undefined) throw identityTaken()
  }
  return linked(tx, services, userId, proof.provider)
}

async function linked(tx: Tx, { nowMs }: Services, userId: string, provider: string): Promise<Done> {
  await audit(tx, nowMs(), { event: 'identity-linked', userId, detail: { provider } })
  return { status: 200, body: await whoami(tx, userId) }
}

/**
 * `registerUser` followed by `linkCredentials` is how apps turn a guest into an account, so a registration that nobody has ever used is
 * merged: its identity moves, its empty user goes. Anything more is somebody's account.
 */
async function takeOver(tx: Tx, identity: { readonly id: string; readonly userId: string }, userId: string): Promise<void> {
  const { rows, imported, others } = await traces(tx, identity)
  if (rows || imported || others) throw identityTaken()
  await tx.updateTable('identities').set({ user_id: userId }).where('id', '=', identity.id).execute()
  await tx.deleteFrom('users').where('id', '=', identity.userId).execute()
  await mergeProfiles(tx, userId)
}

async function traces(tx: Tx, { id, userId }: { readonly id: string; readonly userId: string }) {
  const user = await tx
    .selectFrom('users')
    .select(['imported_at_ms', 'disabled_at_ms', 'custom_data'])
    .where('id', '=', userId)
    .forUpdate()
    .executeTakeFirstOrThrow()
  const device = await tx.selectFrom('devices').select('id').where('user_id', '=', userId).executeTakeFirst()
  const member = await tx.selectFrom('scope_members').select('scope').where('user_id', '=', userId).executeTakeFirst()
  const other = await tx.selectFrom('identities').select('id').where('user_id', '=', userId).where('id', '!=', id).executeTakeFirst()
  return {
    rows: device !== undefined || member !== undefined,
    imported: user.imported_at_ms !== null || user.disabled_at_ms !== null || Object.keys(user.custom_data).length > 0,
    others: other !== undefined,
  }
}

async function refuseSecondEmail(tx: Tx, userId: string): Promise<void> {
  const first = await tx
    .selectFrom('identities')
    .select('id')
    .where('user_id', '=', userId)
    .where('provider', '=', EMAIL_PASSWORD)
    .executeTakeFirst()
  if (first) throw new ApiError(409, 'provider_linked', 'This user has an e-mail address and password already.')
}

const identityTaken = () => new ApiError(409, 'identity_taken', 'This identity belongs to another user.')
