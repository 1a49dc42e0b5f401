import { join } from 'node:path'
import type { Database } from '../database/schema.ts'
import type { Log } from '../log.ts'
import { FileMail } from '../mail/file-mail.ts'
import { Mailer } from '../mail/mailer.ts'
import { SmtpMail } from '../mail/smtp-mail.ts'
import { openVerifiers, type Verifiers } from '../providers/verifiers.ts'
import type { ServerKeys } from '../tokens/server-keys.ts'
import type { AccountHooks } from './account-hooks.ts'
import type { AccountsConfig } from './accounts-config.ts'
import { Attempts } from './attempts.ts'

/** What the handlers of accounts work with, beside the rest of the services. */
export interface Accounts {
  readonly config: AccountsConfig
  readonly hooks: AccountHooks
  readonly verifiers: Verifiers
  readonly attempts: Attempts
  readonly mailer: Mailer
  /** Where mails are kept that go nowhere; absent with SMTP. */
  readonly mailBox: FileMail | undefined
}

export function openAccounts(
  config: AccountsConfig,
  hooks: AccountHooks,
  {
    db,
    keys,
    log,
    nowMs,
    dataDir,
  }: { readonly db: Database; readonly keys: ServerKeys; readonly log: Log; readonly nowMs: () => number; readonly dataDir: string },
): Accounts {
  const { smtpUrl, from } = config.mail
  const mailBox = smtpUrl === undefined ? new FileMail(join(dataDir, 'mail'), nowMs) : undefined
  return {
    config,
    hooks,
    verifiers: openVerifiers(config, nowMs),
    attempts: new Attempts(db, keys, nowMs),
    mailer: new Mailer(mailBox ?? new SmtpMail(smtpUrl ?? '', from), log),
    mailBox,
  }
}
