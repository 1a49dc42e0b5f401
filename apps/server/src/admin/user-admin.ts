import { sql } from 'kysely'
import { createApiKey, deleteApiKey, setApiKeyEnabled } from '../accounts/api-keys.ts'
import { deleteUser } from '../accounts/delete-user.ts'
import { normaliseEmail } from '../accounts/email-address.ts'
import { setCustomData } from '../accounts/functions.ts'
import { insertUser } from '../accounts/identities.ts'
import { wipeDevice } from '../accounts/wipe-device.ts'
import type { JsonObject, Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import { audit } from '../operations/audit.ts'
import type { Services } from '../services.ts'
import { endSessions } from '../tokens/sessions.ts'
import { v7 } from '../tokens/uuid.ts'

export interface UserFilter {
  /** Part of an identity's subject, such as an address. */
  readonly search?: string | undefined
  /** Continue after this id. */
  readonly after?: string | undefined
  readonly limit: number
}

/** What the operator sees of users and does to them. Every act is audited in its own transaction. */
export class UserAdmin {
  readonly #services: Services

  constructor(services: Services) {
    this.#services = services
  }

  async list({ search, after, limit }: UserFilter) {
    const matching = (text: string) => `%${text.replace(/[\\%_]/g, (char) => `\\${char}`)}%`
    return this.#services.db
      .selectFrom('users')
      .select(['id', 'kind', 'created_at_ms', 'disabled_at_ms', 'deleted_at_ms', 'imported_at_ms'])
      .select(({ selectFrom }) =>
        selectFrom('identities')
          .whereRef('user_id', '=', 'users.id')
          .select(sql<string | null>`string_agg(provider, ',' order by provider)`.as('of'))
          .as('providers'),
      )
      .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
      .$if(search !== undefined, (query) =>
        query.where(({ exists, selectFrom }) =>
          exists(
            selectFrom('identities')
              .select('id')
              .whereRef('user_id', '=', 'users.id')
              .where('subject', 'ilike', matching(search ?? '')),
          ),
        ),
      )
      .orderBy('id')
      .limit(limit)
      .execute()
  }

  /** The user of an id or an e-mail address. @throws {ApiError} `not_found` */
  async find(idOrEmail: string): Promise<string> {
    const { db } = this.#services
    const user = await db.selectFrom('users').select('id').where('id', '=', idOrEmail).executeTakeFirst()
    if (user) return user.id
    const identity = await db
      .selectFrom('identities')
      .select('user_id')
      .where('provider', '=', 'email-password')
      .where('subject', '=', normaliseEmail(idOrEmail))
      .executeTakeFirst()
    if (!identity) throw new ApiError(404, 'not_found', 'There is no such user.')
    return identity.user_id
  }

  async show(userId: string) {
    const { db } = this.#services
    const user = await db.selectFrom('users').selectAll().where('id', '=', userId).executeTakeFirst()
    if (!user) throw new ApiError(404, 'not_found', 'There is no such user.')
    const [identities, devices, sessions, apiKeys, scopes, documents] = await Promise.all([
      db
        .selectFrom('identities')
        .select(['id', 'provider', 'subject', 'confirmed_at_ms'])
        .where('user_id', '=', userId)
        .orderBy('id')
        .execute(),
      db.selectFrom('devices').selectAll().where('user_id', '=', userId).orderBy('id').execute(),
      db
        .selectFrom('sessions')
        .select(['id', 'device_id', 'provider', 'created_at_ms', 'rotated_at_ms', 'ended_at_ms', 'end_reason'])
        .where('user_id', '=', userId)
        .orderBy('id')
        .execute(),
      db.selectFrom('api_keys').select(['id', 'name', 'disabled_at_ms']).where('user_id', '=', userId).orderBy('id').execute(),
      db.selectFrom('scope_members').select(['scope', 'role']).where('user_id', '=', userId).orderBy('scope').execute(),
      db
        .selectFrom('sync_docs')
        .select(({ fn }) => ['collection', fn.countAll<number>().as('count')])
        .where('scope', '=', `user:${userId}`)
        .groupBy('collection')
        .orderBy('collection')
        .execute(),
    ])
    return { ...user, identities, devices, sessions, apiKeys, scopes, documents }
  }

  async auditTrail(userId: string, limit: number) {
    return this.#services.db.selectFrom('audit_log').selectAll().where('user_id', '=', userId).orderBy('id', 'desc').limit(limit).execute()
  }

  async delete(userId: string): Promise<void> {
    await this.show(userId)
    await this.#ending((tx) => deleteUser(tx, this.#services, userId))
  }

  async setCustomData(userId: string, customData: JsonObject): Promise<void> {
    await this.show(userId)
    await this.#ending(async (tx, now) => {
      await setCustomData(tx, userId, customData)
      await audit(tx, now, { event: 'custom-data-set', userId })
      return []
    })
  }

  async revokeSession(sessionId: string): Promise<boolean> {
    const ended = await this.#ending(async (tx, now) => {
      const ids = await endSessions(tx, { sessionId }, 'revoked', now)
      if (ids.length > 0) await audit(tx, now, { event: 'session-ended', sessionId, detail: { reason: 'revoked' } })
      return ids
    })
    return ended.length > 0
  }

  async wipeDevice(deviceId: string): Promise<void> {
    await this.#ending((tx, now) => wipeDevice(tx, deviceId, now))
  }

  /** A key for a program that acts on nobody's behalf: it has a user of its own, which gets into scopes by membership. The secret is shown here only. */
  async createServerKey(name: string): Promise<{ readonly id: string; readonly userId: string; readonly key: string }> {
    const { db, nowMs } = this.#services
    return db.transaction().execute(async (tx) => {
      const now = nowMs()
      const userId = v7(now)
      await insertUser(tx, userId, now, 'server')
      const { id, key } = await createApiKey(tx, userId, name, now)
      await audit(tx, now, { event: 'api-key-created', userId, detail: { keyId: id, kind: 'server' } })
      return { id, userId, key }
    })
  }

  async listServerKeys() {
    return this.#services.db
      .selectFrom('api_keys')
      .innerJoin('users', 'users.id', 'api_keys.user_id')
      .select(['api_keys.id', 'name', 'user_id', 'api_keys.disabled_at_ms', 'api_keys.created_at_ms'])
      .where('kind', '=', 'server')
      .orderBy('api_keys.created_at_ms')
      .execute()
  }

  /** Any user's key, also a server key. */
  async changeKey(keyId: string, change: 'enable' | 'disable' | 'delete'): Promise<void> {
    const key = await this.#services.db.selectFrom('api_keys').select('user_id').where('id', '=', keyId).executeTakeFirst()
    if (!key) throw new ApiError(404, 'not_found', 'There is no such key.')
    await this.#ending(async (tx, now) => {
      const event = change === 'delete' ? 'api-key-deleted' : 'api-key-changed'
      await audit(tx, now, { event, userId: key.user_id, detail: { keyId, change } })
      if (change === 'delete') return deleteApiKey(tx, key.user_id, keyId, now)
      return setApiKeyEnabled(tx, key.user_id, keyId, change === 'enable', now)
    })
  }

  async rotateSigningKey(revoke: boolean): Promise<void> {
    const { db, nowMs, signingKeys } = this.#services
    await signingKeys.retireSigner(revoke)
    await audit(db, nowMs(), { event: 'signing-key-rotated', detail: { revoke } })
  }

  async #ending(work: (tx: Tx, nowMs: number) => Promise<readonly string[]>): Promise<readonly string[]> {
    const { db, bus, nowMs } = this.#services
    const ended = await db.transaction().execute((tx) => work(tx, nowMs()))
    bus.sessionsEnded(ended)
    return ended
  }
}
