import type { Services } from '../services.ts'
import { deleteUser } from './delete-user.ts'
import { forgetIdempotencyKeys } from './idempotency.ts'

const BATCH = 100
const DAY_MS = 86_400_000
/** Longer than the longest delay and the longest memory of failures. */
const ATTEMPTS_KEPT_MS = 8 * DAY_MS

/** Deletes anonymous accounts whose last session has been over for long, and forgets what has expired. @returns how many accounts */
export async function purgeAccounts(services: Services): Promise<number> {
  const { db, nowMs, bus, accounts } = services
  const now = nowMs()
  await forgetIdempotencyKeys(db, now)
  await db
    .deleteFrom('attempts')
    .where('last_at_ms', '<', now - ATTEMPTS_KEPT_MS)
    .where('blocked_until_ms', '<', now)
    .execute()
  await db.deleteFrom('mail_tokens').where('expires_at_ms', '<', now).execute()
  const policy = accounts.config.providers.anonymous
  if (!policy) return 0
  const overSince = now - policy.purgeAfterDays * DAY_MS
  for (let purged = 0; ; ) {
    const abandoned = await db
      .selectFrom('users')
      .select('id')
      .where('deleted_at_ms', 'is', null)
      .where('kind', '=', 'person')
      .where(({ exists, selectFrom }) =>
        exists(selectFrom('identities').select('id').whereRef('user_id', '=', 'users.id').where('provider', '=', 'anonymous')),
      )
      .where(({ not, exists, selectFrom }) =>
        not(exists(selectFrom('identities').select('id').whereRef('user_id', '=', 'users.id').where('provider', '!=', 'anonymous'))),
      )
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('sessions')
              .select('id')
              .whereRef('user_id', '=', 'users.id')
              .where(({ eb, fn }) =>
                eb(fn<number>('least', ['idle_ends_at_ms', fn.coalesce('ended_at_ms', 'idle_ends_at_ms')]), '>', overSince),
              ),
          ),
        ),
      )
      .limit(BATCH)
      .execute()
    for (const { id } of abandoned) bus.sessionsEnded(await db.transaction().execute((tx) => deleteUser(tx, services, id)))
    purged += abandoned.length
    if (abandoned.length < BATCH) return purged
  }
}
