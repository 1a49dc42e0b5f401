import { sql } from 'kysely'
import { type JsonObject, json, type Tx } from '../database/schema.ts'
import { audit } from '../operations/audit.ts'
import type { WireCredentials } from '../providers/credentials.ts'
import type { Services } from '../services.ts'
import { endSessions } from '../tokens/sessions.ts'
import type { Origin } from './guess-limits.ts'
import { freshProofNeeded, type Holder, isFresh } from './holder.ts'
import { findIdentity } from './identities.ts'
import { type Proof, prove } from './prove.ts'

/** @returns the proof, if one was sent that can be one */
export async function prepareDelete(services: Services, proof: WireCredentials | undefined, origin: Origin): Promise<Proof | undefined> {
  if (!proof || proof.provider === 'anonymous' || proof.provider === 'api-key') return undefined
  return prove(services, proof, origin)
}

/**
 * @throws {ApiError} `fresh_proof_needed` unless the log-in is at most five minutes old, or the proof is of one of the caller's identities;
 * somebody who is only anonymous has no other proof than the live session
 */
export async function requireFreshProof(tx: Tx, services: Services, holder: Holder, proof: Proof | undefined): Promise<void> {
  if (proof) {
    await proof.settle(tx)
    const identity = await findIdentity(tx, proof.provider, proof.subject ?? '')
    if (identity?.userId === holder.userId) return
  }
  if (isFresh(holder, services.nowMs())) return
  const identities = await tx.selectFrom('identities').select('provider').where('user_id', '=', holder.userId).execute()
  if (identities.every(({ provider }) => provider === 'anonymous')) return
  throw freshProofNeeded()
}

/**
 * Ends a user. The id stays as a tombstone, so that devices that come back later learn what happened; everything personal goes,
 * the documents in `mine` by policy. Ended sessions are told; call `bus.sessionsEnded` with them after the commit.
 */
export async function deleteUser(tx: Tx, services: Services, userId: string): Promise<readonly string[]> {
  const now = services.nowMs()
  const ended = await endSessions(tx, { userId }, 'user_deleted', now)
  // Devices that were logged out, or idle too long, are told the same when they come back.
  await tx.updateTable('sessions').set({ end_reason: 'user_deleted' }).where('user_id', '=', userId).execute()
  for (const table of ['identities', 'api_keys', 'unlock_keys', 'scope_members'] as const) {
    await tx.deleteFrom(table).where('user_id', '=', userId).execute()
  }
  await tx
    .updateTable('users')
    .set({ deleted_at_ms: now, profile: json<JsonObject>({}), custom_data: json<JsonObject>({}) })
    .where('id', '=', userId)
    .execute()
  const documents = services.accounts.config.documentsOfDeletedUsers
  if (documents === 'erase') await eraseDocuments(tx, userId)
  await audit(tx, now, { event: 'user-deleted', userId, detail: { documents } })
  return ended
}

async function eraseDocuments(tx: Tx, userId: string): Promise<void> {
  const scope = `user:${userId}`
  await tx.deleteFrom('sync_docs').where('scope', '=', scope).execute()
  await tx.deleteFrom('sync_heads').where('scope', '=', scope).execute()
  await sql`update sync_docs set updated_by = null where updated_by = ${userId}`.execute(tx)
}
