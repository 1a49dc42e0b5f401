import type { Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import { confirmationMail, passwordChangedMail, resetMail } from '../mail/account-mails.ts'
import { audit } from '../operations/audit.ts'
import { providerOff } from '../providers/provider-refusal.ts'
import type { Services } from '../services.ts'
import { endSessions } from '../tokens/sessions.ts'
import { v7 } from '../tokens/uuid.ts'
import type { MailFlowDecision } from './account-hooks.ts'
import type { EmailPasswordConfig } from './accounts-config.ts'
import { throttled } from './attempts.ts'
import { normaliseEmail } from './email-address.ts'
import { guessLimits, network, type Origin } from './guess-limits.ts'
import type { Done } from './idempotency.ts'
import { addIdentity, findIdentity, insertUser, removeIdentity } from './identities.ts'
import { type MailToken, type MailTokenKind, makeMailToken, useMailToken } from './mail-tokens.ts'
import { EMAIL_PASSWORD, findPasswordAccount } from './password-check.ts'
import { checkNewPassword } from './password-rules.ts'
import { within } from './within.ts'

export interface EmailAccount {
  readonly email: string
  readonly password: string
}

/** @throws {ApiError} `provider_off` */
export function emailSettings({ accounts }: Services): EmailPasswordConfig {
  const settings = accounts.config.providers[EMAIL_PASSWORD]
  if (!settings) throw providerOff(EMAIL_PASSWORD)
  return settings
}

/** Checks the rules and hashes: what registering takes outside of its transaction. @throws {ApiError} `weak_password` */
export async function preparePassword(services: Services, { email, password }: EmailAccount): Promise<string> {
  emailSettings(services)
  await checkNewPassword(services, password, email)
  return services.hasher.hash(password)
}

/**
 * Makes an account; whether it may log in at once depends on the configured confirmation. An address that nobody has confirmed can be
 * registered again: its password and mail are replaced, so that nobody can sit on the address of somebody else. If it was linked to somebody, that user
 * loses it: whoever reads the mail must not get into the account of whoever mistyped an address.
 *
 * @throws {ApiError} `email_taken`
 */
export async function register(tx: Tx, services: Services, { email }: EmailAccount, phc: string): Promise<Done> {
  const now = services.nowMs()
  const subject = normaliseEmail(email)
  const known = await findIdentity(tx, EMAIL_PASSWORD, subject)
  const account = known && (await findPasswordAccount(tx, subject))
  if (account && (account.confirmedAtMs !== null || account.phc === null)) throw emailTaken()
  const isShared = known && (await hasOtherIdentities(tx, known))
  if (account && isShared) await removeIdentity(tx, account)
  else if (account) {
    await setPassword(tx, account.identityId, phc, now)
    return { status: 201, body: {}, ...(await beginConfirmation(tx, services, account.identityId, email)) }
  }
  const userId = v7(now)
  await insertUser(tx, userId, now)
  const identityId = await addEmailIdentity(tx, services, userId, email, phc)
  await audit(tx, now, { event: 'registered', userId, detail: { provider: EMAIL_PASSWORD } })
  return { status: 201, body: {}, ...(await beginConfirmation(tx, services, identityId, email)) }
}

async function hasOtherIdentities(tx: Tx, { id, userId }: { readonly id: string; readonly userId: string }): Promise<boolean> {
  const other = await tx.selectFrom('identities').select('id').where('user_id', '=', userId).where('id', '!=', id).executeTakeFirst()
  return other !== undefined
}

/** @throws {ApiError} `email_taken` */
export async function addEmailIdentity(tx: Tx, services: Services, userId: string, email: string, phc: string): Promise<string> {
  const now = services.nowMs()
  const confirmedAtMs = emailSettings(services).confirmation === 'automatic' ? now : null
  const identity = { provider: EMAIL_PASSWORD, subject: normaliseEmail(email), profile: { email: email.trim() }, confirmedAtMs }
  const identityId = await addIdentity(tx, userId, identity, now)
  if (identityId === undefined) throw emailTaken()
  await setPassword(tx, identityId, phc, now)
  return identityId
}

export async function setPassword(tx: Tx, identityId: string, phc: string, nowMs: number): Promise<void> {
  await tx
    .insertInto('passwords')
    .values({ identity_id: identityId, phc, changed_at_ms: nowMs })
    .onConflict((conflict) => conflict.column('identity_id').doUpdateSet({ phc, changed_at_ms: nowMs }))
    .execute()
}

/** Sends the mail, or asks the app's function, after the commit; nothing with automatic confirmation. */
export async function beginConfirmation(tx: Tx, services: Services, identityId: string, email: string): Promise<Pick<Done, 'afterwards'>> {
  const { confirmation, confirmTokenS, confirmUrl } = emailSettings(services)
  if (confirmation === 'automatic') return {}
  const token = await makeMailToken(tx, identityId, 'confirm', confirmTokenS, services.nowMs())
  const to = email.trim()
  const { mailer, config } = services.accounts
  if (confirmation === 'mail') {
    const mail = confirmationMail({ ...token, to, appName: config.mail.appName, url: confirmUrl, lifeS: confirmTokenS })
    return { afterwards: () => mailer.send(mail) }
  }
  return {
    afterwards: () =>
      void decideConfirmation(services, to, token).catch((error: unknown) => services.log.error('confirm-function-failed', error)),
  }
}

/** @throws {ApiError} `mail_token_invalid` */
export async function confirm(tx: Tx, services: Services, token: MailToken): Promise<void> {
  emailSettings(services)
  const identityId = await useMailToken(tx, 'confirm', token, services.nowMs())
  await markConfirmed(tx, services, identityId)
}

/** Sends the confirmation mail again, if there is an account that waits for one; the answer is the same if not. */
export async function resendConfirmation(services: Services, email: string, origin: Origin): Promise<void> {
  if (emailSettings(services).confirmation !== 'mail') throw new ApiError(403, 'confirmation_off', 'This server does not confirm by mail.')
  await limitMails(services, email, origin)
  const { afterwards } = await services.db.transaction().execute(async (tx): Promise<Pick<Done, 'afterwards'>> => {
    const account = await findPasswordAccount(tx, normaliseEmail(email))
    const isWaiting = account?.phc != null && account.confirmedAtMs === null
    return isWaiting ? beginConfirmation(tx, services, account.identityId, email) : {}
  })
  afterwards?.()
}

/** Asks the app's function again. @throws {ApiError} `confirmation_failed`, also where there is nothing to confirm */
export async function retryConfirmFunction(services: Services, email: string, origin: Origin): Promise<void> {
  if (emailSettings(services).confirmation !== 'function')
    throw new ApiError(403, 'confirmation_off', 'This server does not confirm by a function.')
  await limitMails(services, email, origin)
  const token = await tokenFor(services, 'confirm', email, (account) => account.confirmedAtMs === null)
  if (!token || (await decideConfirmation(services, email.trim(), token)) === 'fail')
    throw new ApiError(400, 'confirmation_failed', 'The address was not confirmed.')
}

/** Sends a reset mail, if there is an account; the answer is the same if not, and does not wait for the mail. */
export async function sendResetMail(services: Services, email: string, origin: Origin): Promise<void> {
  const { resetTokenS, resetUrl } = emailSettings(services)
  await limitMails(services, email, origin)
  const token = await tokenFor(services, 'reset', email, (account) => account.confirmedAtMs !== null)
  if (!token) return
  const { mailer, config } = services.accounts
  mailer.send(resetMail({ ...token, to: email.trim(), appName: config.mail.appName, url: resetUrl, lifeS: resetTokenS }))
}

/**
 * Sets a new password by a mailed token. Whoever has the token reads the mail box, so the address counts as confirmed; every session ends.
 *
 * @throws {ApiError} `mail_token_invalid`
 */
export async function reset(tx: Tx, services: Services, token: MailToken, phc: string): Promise<Done> {
  const identityId = await useMailToken(tx, 'reset', token, services.nowMs())
  return replaceForgotten(tx, services, identityId, phc)
}

/** @throws {ApiError} `reset_failed`, the same where there is no account */
export async function resetByFunction(
  services: Services,
  { email, password }: EmailAccount,
  args: readonly unknown[],
  origin: Origin,
): Promise<Done> {
  emailSettings(services)
  const { hooks } = services.accounts
  if (!hooks.resetPassword) throw new ApiError(403, 'reset_function_off', 'This server has no reset function.')
  await limitMails(services, email, origin)
  const phc = await preparePassword(services, { email, password }) // the same work whether there is an account or not
  const token = await tokenFor(services, 'reset', email, (account) => account.confirmedAtMs !== null)
  const decision = token ? await decided(services, () => hooks.resetPassword?.({ email: email.trim(), ...token }, ...args)) : 'fail'
  if (!token || decision === 'fail') throw new ApiError(400, 'reset_failed', 'The password was not reset.')
  if (decision === 'pending') return { status: 200, body: {} }
  return services.db.transaction().execute((tx) => reset(tx, services, token, phc))
}

async function replaceForgotten(tx: Tx, services: Services, identityId: string, phc: string): Promise<Done> {
  const now = services.nowMs()
  await setPassword(tx, identityId, phc, now)
  const { userId, subject, email } = await markConfirmed(tx, services, identityId)
  const ended = await endSessions(tx, { userId }, 'password_changed', now)
  await audit(tx, now, { event: 'password-reset', userId, detail: { sessions: ended.length } })
  await services.accounts.attempts.forgive(tx, guessLimits(services, subject, { address: undefined }, false).forgiven)
  return { status: 200, body: {}, ended, afterwards: () => tellPasswordChanged(services, email) }
}

export function tellPasswordChanged({ accounts }: Services, to: string): void {
  accounts.mailer.send(passwordChangedMail({ to, appName: accounts.config.mail.appName }))
}

async function markConfirmed(tx: Tx, { nowMs }: Services, identityId: string) {
  await tx
    .updateTable('identities')
    .set({ confirmed_at_ms: nowMs() })
    .where('id', '=', identityId)
    .where('confirmed_at_ms', 'is', null)
    .execute()
  const { user_id, subject, profile } = await tx
    .selectFrom('identities')
    .select(['user_id', 'subject', 'profile'])
    .where('id', '=', identityId)
    .executeTakeFirstOrThrow()
  await audit(tx, nowMs(), { event: 'email-confirmed', userId: user_id })
  return { userId: user_id, subject, email: typeof profile.email === 'string' ? profile.email : subject }
}

async function decideConfirmation(services: Services, email: string, token: MailToken): Promise<MailFlowDecision> {
  const { hooks } = services.accounts
  const decision = await decided(services, () => hooks.confirm?.({ email, ...token }))
  if (decision === 'success') await services.db.transaction().execute((tx) => confirm(tx, services, token))
  return decision
}

async function decided(
  { accounts, log }: Services,
  ask: () => Promise<MailFlowDecision> | MailFlowDecision | undefined,
): Promise<MailFlowDecision> {
  try {
    return (await within(accounts.config.functionTimeoutS, ask)) ?? 'fail'
  } catch (error) {
    log.error('mail-flow-function-failed', error)
    return 'fail'
  }
}

async function tokenFor(
  services: Services,
  kind: MailTokenKind,
  email: string,
  applies: (account: { readonly confirmedAtMs: number | null }) => boolean,
): Promise<MailToken | undefined> {
  const { confirmTokenS, resetTokenS } = emailSettings(services)
  return services.db.transaction().execute(async (tx) => {
    const account = await findPasswordAccount(tx, normaliseEmail(email))
    if (!account || !applies(account)) return undefined
    return makeMailToken(tx, account.identityId, kind, kind === 'confirm' ? confirmTokenS : resetTokenS, services.nowMs())
  })
}

const HOUR_MS = 3_600_000
const mailsToOneAddress = { free: 4, firstDelayMs: 600_000, longestDelayMs: HOUR_MS - 1, forgetAfterMs: HOUR_MS }
const mailsFromOneAddress = { free: 40, firstDelayMs: 60_000, longestDelayMs: HOUR_MS - 1, forgetAfterMs: HOUR_MS }

/** Keeps mail boxes from being flooded through this server; counted whether there is an account or not. @throws {ApiError} `throttled` */
async function limitMails({ accounts }: Services, email: string, origin: Origin): Promise<void> {
  const { blockedForMs } = await accounts.attempts.begin([
    { name: `mail to ${normaliseEmail(email)}`, policy: mailsToOneAddress },
    { name: `mail from ${network(origin.address)}`, policy: mailsFromOneAddress },
  ])
  if (blockedForMs > 0) throw throttled(blockedForMs)
}

const emailTaken = () => new ApiError(409, 'email_taken', 'There is an account with this e-mail address already.')
