import type { EndReason } from '../http/api-error.ts'
import type { Services } from '../services.ts'
import { purgeTombstones } from '../sync/purge.ts'
import { endSessions } from '../tokens/sessions.ts'

/** What only the operator may do. */
export class Admin {
  readonly #services: Pick<Services, 'db' | 'bus' | 'nowMs' | 'lifetimes'>

  constructor(services: Pick<Services, 'db' | 'bus' | 'nowMs' | 'lifetimes'>) {
    this.#services = services
  }

  /** Lets a user into a team's scope (`team:<id>`), or changes the role; `null` puts the user out. */
  async setMember(scope: string, userId: string, role: 'reader' | 'writer' | null): Promise<void> {
    const { db } = this.#services
    if (role === null) {
      await db.deleteFrom('scope_members').where('scope', '=', scope).where('user_id', '=', userId).execute()
      return
    }
    await db
      .insertInto('scope_members')
      .values({ scope, user_id: userId, role })
      .onConflict((conflict) => conflict.columns(['scope', 'user_id']).doUpdateSet({ role }))
      .execute()
  }

  /** Ends all sessions of a user at once, on every instance. */
  async revokeSessions(userId: string): Promise<number> {
    return this.#endAll(userId, 'revoked')
  }

  /** Refuses log-ins and ends all sessions until `enableUser`. */
  async disableUser(userId: string): Promise<void> {
    await this.#endAll(userId, 'user_disabled', { disabled_at_ms: this.#services.nowMs() })
  }

  async enableUser(userId: string): Promise<void> {
    await this.#services.db.updateTable('users').set({ disabled_at_ms: null }).where('id', '=', userId).execute()
  }

  /** Forgets deletions that no live session can have missed. */
  async purge(): Promise<number> {
    const { db, nowMs, lifetimes } = this.#services
    const longestS = Math.max(lifetimes.sessionAbsoluteS, lifetimes.anonymousIdleS)
    return purgeTombstones(db, nowMs() - longestS * 1000)
  }

  async #endAll(userId: string, reason: EndReason, user?: { readonly disabled_at_ms: number }): Promise<number> {
    const { db, bus, nowMs } = this.#services
    const ended = await db.transaction().execute(async (tx) => {
      if (user) await tx.updateTable('users').set(user).where('id', '=', userId).execute()
      return endSessions(tx, { userId }, reason, nowMs())
    })
    bus.sessionsEnded(ended)
    return ended.length
  }
}
