import { purgeAccounts } from '../accounts/purge-accounts.ts'
import type { Tx } from '../database/schema.ts'
import type { EndReason } from '../http/api-error.ts'
import { audit } from '../operations/audit.ts'
import type { Services } from '../services.ts'
import { purgeTombstones } from '../sync/purge.ts'
import { endSessions } from '../tokens/sessions.ts'
import { UserAdmin } from './user-admin.ts'

/** What only the operator may do. */
export class Admin {
  readonly #services: Services
  readonly users: UserAdmin

  constructor(services: Services) {
    this.#services = services
    this.users = new UserAdmin(services)
  }

  /** Lets a user into a team's scope (`team:<id>`), or changes the role; `null` puts the user out, and open streams are told to look. */
  async setMember(scope: string, userId: string, role: 'reader' | 'writer' | null): Promise<void> {
    const { db, nowMs, bus, collections } = this.#services
    await db.transaction().execute(async (tx) => {
      await tx.deleteFrom('scope_members').where('scope', '=', scope).where('user_id', '=', userId).execute()
      if (role !== null) await tx.insertInto('scope_members').values({ scope, user_id: userId, role }).execute()
      await audit(tx, nowMs(), { event: 'member-changed', userId, detail: { scope, role } })
    })
    for (const collection of collections.values()) if (collection.scope.includes('team:*')) bus.changed(collection.name, scope)
  }

  /** Ends all sessions of a user at once, on every instance. */
  async revokeSessions(userId: string): Promise<number> {
    return this.#endAll(userId, 'revoked', async () => {})
  }

  /** Refuses log-ins and ends all sessions until `enableUser`. */
  async disableUser(userId: string): Promise<void> {
    await this.#endAll(userId, 'user_disabled', async (tx, now) => {
      await tx.updateTable('users').set({ disabled_at_ms: now }).where('id', '=', userId).execute()
      await audit(tx, now, { event: 'user-disabled', userId })
    })
  }

  async enableUser(userId: string): Promise<void> {
    const { db, nowMs } = this.#services
    await db.transaction().execute(async (tx) => {
      await tx.updateTable('users').set({ disabled_at_ms: null }).where('id', '=', userId).execute()
      await audit(tx, nowMs(), { event: 'user-enabled', userId })
    })
  }

  /** Forgets deletions that no live session can have missed, and abandoned anonymous accounts. */
  async purge(): Promise<number> {
    const { db, nowMs, lifetimes } = this.#services
    const accounts = await purgeAccounts(this.#services)
    if (accounts > 0) await audit(db, nowMs(), { event: 'accounts-purged', detail: { count: accounts } })
    const longestS = Math.max(lifetimes.sessionAbsoluteS, lifetimes.anonymousIdleS)
    const count = await purgeTombstones(db, nowMs() - longestS * 1000)
    if (count > 0) await audit(db, nowMs(), { event: 'tombstones-purged', detail: { count } })
    return count
  }

  async #endAll(userId: string, reason: EndReason, also: (tx: Tx, nowMs: number) => Promise<void>): Promise<number> {
    const { db, bus, nowMs } = this.#services
    const ended = await db.transaction().execute(async (tx) => {
      await also(tx, nowMs())
      const sessions = await endSessions(tx, { userId }, reason, nowMs())
      await audit(tx, nowMs(), { event: 'session-ended', userId, detail: { reason, count: sessions.length } })
      return sessions
    })
    bus.sessionsEnded(ended)
    return ended.length
  }
}
