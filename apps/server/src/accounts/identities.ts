import { type JsonObject, json, type Tx } from '../database/schema.ts'
import { v7 } from '../tokens/uuid.ts'

export interface NewIdentity {
  readonly provider: string
  readonly subject: string
  readonly profile: JsonObject
  /** `null`: the person has yet to show that the address is theirs. */
  readonly confirmedAtMs: number | null
}

export async function findIdentity(tx: Tx, provider: string, subject: string) {
  return tx
    .selectFrom('identities')
    .select(['id', 'user_id as userId'])
    .where('provider', '=', provider)
    .where('subject', '=', subject)
    .forUpdate()
    .executeTakeFirst()
}

/** @returns the new identity's id, or `undefined` if somebody has it already */
export async function addIdentity(tx: Tx, userId: string, identity: NewIdentity, nowMs: number): Promise<string | undefined> {
  const { provider, subject, profile, confirmedAtMs } = identity
  const added = await tx
    .insertInto('identities')
    .values({
      id: v7(nowMs),
      user_id: userId,
      provider,
      subject,
      profile: json(profile),
      confirmed_at_ms: confirmedAtMs,
      created_at_ms: nowMs,
    })
    .onConflict((conflict) => conflict.columns(['provider', 'subject']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (added) await mergeProfiles(tx, userId)
  return added?.id
}

/** Keeps what the provider says now; fields it no longer tells go. */
export async function updateIdentityProfile(
  tx: Tx,
  identity: { readonly id: string; readonly userId: string },
  profile: JsonObject,
): Promise<void> {
  await tx
    .updateTable('identities')
    .set({ profile: json(profile) })
    .where('id', '=', identity.id)
    .execute()
  await mergeProfiles(tx, identity.userId)
}

export async function removeIdentity(
  tx: Tx,
  { identityId, userId }: { readonly identityId: string; readonly userId: string },
): Promise<void> {
  await tx.deleteFrom('identities').where('id', '=', identityId).execute()
  await mergeProfiles(tx, userId)
}

/** A user's profile is what all identities tell together; where several tell a field, the oldest one's counts. */
export async function mergeProfiles(tx: Tx, userId: string): Promise<void> {
  const rows = await tx
    .selectFrom('identities')
    .select('profile')
    .where('user_id', '=', userId)
    .orderBy('created_at_ms', 'desc')
    .orderBy('id', 'desc')
    .execute()
  const profile = Object.assign({}, ...rows.map((row) => row.profile)) as JsonObject
  await tx
    .updateTable('users')
    .set({ profile: json(profile) })
    .where('id', '=', userId)
    .execute()
}

export async function insertUser(tx: Tx, id: string, nowMs: number, kind: 'person' | 'server' = 'person'): Promise<void> {
  await tx
    .insertInto('users')
    .values({
      id,
      kind,
      profile: json<JsonObject>({}),
      custom_data: json<JsonObject>({}),
      created_at_ms: nowMs,
      disabled_at_ms: null,
      deleted_at_ms: null,
    })
    .execute()
}
