import { randomUUID } from 'node:crypto'
import type { Database, Tx } from './schema.ts'

export interface ServerIdentity {
  readonly issuer: string
}

export class WrongIssuer extends Error {
  override readonly name = 'WrongIssuer'
}

/**
 * Reads who this server is, or decides it at the first start.
 *
 * @throws {WrongIssuer} when `wanted` is another one than at the first start: every token there is names the old one
 */
export async function readServerIdentity(db: Database, wanted: string | undefined, nowMs: number): Promise<ServerIdentity> {
  await db
    .insertInto('server')
    .values({ issuer: wanted ?? `urn:uuid:${randomUUID()}`, incarnation: randomUUID(), created_at_ms: nowMs })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const identity = await db.selectFrom('server').select('issuer').executeTakeFirstOrThrow()
  if (wanted !== undefined && wanted !== identity.issuer) {
    throw new WrongIssuer(`This database belongs to issuer ${identity.issuer}; it cannot become ${wanted}.`)
  }
  return identity
}

/** Tells every client that acknowledged writes may be missing: their checkpoints are of another incarnation now. */
export async function renewIncarnation(tx: Tx): Promise<void> {
  await tx.updateTable('server').set({ incarnation: randomUUID() }).execute()
}
