import { randomUUID } from 'node:crypto'
import type { Database, Tx } from './schema.ts'

export interface ServerIdentity {
  readonly issuer: string
}

/** Reads who this server is, or decides it at the first start. */
export async function readServerIdentity(db: Database, nowMs: number): Promise<ServerIdentity> {
  await db
    .insertInto('server')
    .values({ issuer: `urn:uuid:${randomUUID()}`, incarnation: randomUUID(), created_at_ms: nowMs })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  return db.selectFrom('server').select('issuer').executeTakeFirstOrThrow()
}

/** Tells every client that acknowledged writes may be missing: their checkpoints are of another incarnation now. */
export async function renewIncarnation(tx: Tx): Promise<void> {
  await tx.updateTable('server').set({ incarnation: randomUUID() }).execute()
}
