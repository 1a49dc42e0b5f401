import type { Database, Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import { invalidCredentials } from '../providers/provider-refusal.ts'
import type { Services } from '../services.ts'
import { throttled } from './attempts.ts'
import { normaliseEmail } from './email-address.ts'
import { guessLimits, type Origin } from './guess-limits.ts'

export const EMAIL_PASSWORD = 'email-password'

export interface PasswordAccount {
  readonly identityId: string
  readonly userId: string
  /** Absent for an imported account that nobody has claimed yet. */
  readonly phc: string | null
  readonly confirmedAtMs: number | null
}

/** A password that was right when it was looked at, with what has to be done in the transaction that acts on it. */
export interface CheckedPassword {
  readonly account: PasswordAccount
  /** Looks again under a lock: the password may have been changed, and every session ended, meanwhile. */
  settle(tx: Tx): Promise<void>
}

/**
 * Checks a password. Unknown address, wrong password, account without a password and one that is throttled all cost one hash and the same
 * queries, and nothing in the answer tells them apart but the throttling, which does not depend on there being an account (PW-5).
 *
 * @throws {ApiError} `invalid_credentials`, `throttled`, `email_unconfirmed` (only to who knows the password)
 */
export async function checkPassword(
  services: Services,
  login: { readonly email: string; readonly password: string },
  origin: Origin,
): Promise<CheckedPassword> {
  const { db, hasher, accounts } = services
  const subject = normaliseEmail(login.email)
  const account = await findPasswordAccount(db, subject)
  const limits = guessLimits(services, subject, origin, await isOwnDevice(db, account?.userId, origin.deviceId))
  const { blockedForMs } = await accounts.attempts.begin(limits.counted)
  const matches = await hasher.verify(account?.phc ?? undefined, login.password)
  if (blockedForMs > 0) throw throttled(blockedForMs)
  if (!account || !matches) throw invalidCredentials('The e-mail address or the password is wrong.')

  await accounts.attempts.forgive(db, limits.forgiven) // at once: trouble of ours from here on is no failure of theirs
  const renewed = hasher.isCurrent(account.phc ?? '') ? undefined : await hasher.hash(login.password)
  return {
    account,
    async settle(tx) {
      const stored = await tx
        .selectFrom('passwords')
        .select('phc')
        .where('identity_id', '=', account.identityId)
        .forShare()
        .executeTakeFirst()
      if (stored?.phc !== account.phc) throw invalidCredentials('The e-mail address or the password is wrong.')
      if (renewed !== undefined)
        await tx.updateTable('passwords').set({ phc: renewed }).where('identity_id', '=', account.identityId).execute()
    },
  }
}

export function refuseUnconfirmed({ confirmedAtMs }: PasswordAccount): void {
  if (confirmedAtMs === null) throw new ApiError(403, 'email_unconfirmed', 'Confirm the e-mail address first: use the link in the mail.')
}

export async function findPasswordAccount(db: Database | Tx, subject: string): Promise<PasswordAccount | undefined> {
  return db
    .selectFrom('identities')
    .leftJoin('passwords', 'passwords.identity_id', 'identities.id')
    .select(['identities.id as identityId', 'user_id as userId', 'phc', 'confirmed_at_ms as confirmedAtMs'])
    .where('provider', '=', EMAIL_PASSWORD)
    .where('subject', '=', subject)
    .executeTakeFirst()
}

async function isOwnDevice(db: Database, userId: string | undefined, deviceId: string | undefined): Promise<boolean> {
  const own = await db
    .selectFrom('devices')
    .select('id')
    .where('id', '=', deviceId ?? '')
    .where('user_id', '=', userId ?? '')
    .executeTakeFirst()
  return own !== undefined
}
