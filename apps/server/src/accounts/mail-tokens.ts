import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import { v7 } from '../tokens/uuid.ts'

export type MailTokenKind = 'confirm' | 'reset'

export interface MailToken {
  readonly token: string
  readonly tokenId: string
}

/** Only its digest is stored. An older token of this identity and kind is void from here on. */
export async function makeMailToken(tx: Tx, identityId: string, kind: MailTokenKind, lifeS: number, nowMs: number): Promise<MailToken> {
  const token = randomBytes(32).toString('base64url')
  const tokenId = v7(nowMs)
  await tx.deleteFrom('mail_tokens').where('identity_id', '=', identityId).where('kind', '=', kind).execute()
  await tx
    .insertInto('mail_tokens')
    .values({ id: tokenId, kind, identity_id: identityId, digest: digestOf(token), expires_at_ms: nowMs + lifeS * 1000 })
    .execute()
  return { token, tokenId }
}

/**
 * Uses a token up (PW-6).
 *
 * @returns the identity it was made for. @throws {ApiError} `mail_token_invalid`: wrong, used, replaced by a newer one, or expired
 */
export async function useMailToken(tx: Tx, kind: MailTokenKind, { token, tokenId }: MailToken, nowMs: number): Promise<string> {
  const row = await tx
    .selectFrom('mail_tokens')
    .selectAll()
    .where('id', '=', tokenId)
    .where('kind', '=', kind)
    .forUpdate()
    .executeTakeFirst()
  const isRight = timingSafeEqual(Buffer.from(row?.digest ?? digestOf('')), Buffer.from(digestOf(token)))
  if (!row || !isRight || nowMs >= row.expires_at_ms)
    throw new ApiError(400, 'mail_token_invalid', 'This link has expired or was used already. Ask for a new mail.')
  await tx.deleteFrom('mail_tokens').where('id', '=', row.id).execute()
  return row.identity_id
}

const digestOf = (token: string) => createHash('sha256').update(token).digest('base64url')
