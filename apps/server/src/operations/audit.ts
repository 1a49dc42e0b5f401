import { type Database, type JsonObject, json, type Tx } from '../database/schema.ts'
import { v7 } from '../tokens/uuid.ts'

/** What an operator may have to explain later. Kinds and ids only: no address, token or document. */
export interface AuditEntry {
  readonly event:
    | 'registered'
    | 'logged-in'
    | 'session-ended'
    | 'refresh-reuse'
    | 'rollback-detected'
    | 'user-disabled'
    | 'user-enabled'
    | 'member-changed'
    | 'tombstones-purged'
    | 'imported'
    | 'email-confirmed'
    | 'password-changed'
    | 'password-reset'
    | 'identity-linked'
    | 'user-deleted'
    | 'api-key-created'
    | 'api-key-changed'
    | 'api-key-deleted'
    | 'custom-data-set'
    | 'device-wiped'
    | 'device-wipe-confirmed'
    | 'signing-key-rotated'
    | 'users-imported'
    | 'accounts-purged'
  readonly userId?: string
  readonly sessionId?: string
  readonly detail?: JsonObject
}

/** Written in the transaction of what it tells of, so that neither exists without the other. */
export async function audit(db: Database | Tx, nowMs: number, { event, userId, sessionId, detail }: AuditEntry): Promise<void> {
  await db
    .insertInto('audit_log')
    .values({
      id: v7(nowMs),
      at_ms: nowMs,
      event,
      user_id: userId ?? null,
      session_id: sessionId ?? null,
      detail: json<JsonObject>(detail ?? {}),
    })
    .execute()
}
