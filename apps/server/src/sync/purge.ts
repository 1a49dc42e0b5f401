import { sql } from 'kysely'
import type { Database } from '../database/schema.ts'

/**
 * Forgets deletions older than any session can be, and notes up to where: a client whose checkpoint is older must pull everything again
 * (410 `resync_required`).
 *
 * @returns how many tombstones are gone
 */
export async function purgeTombstones(db: Database, olderThanMs: number): Promise<number> {
  return db.transaction().execute(async (tx) => {
    // The heads first and in order, like a push: two instances may purge at once.
    await sql`
      select from sync_heads where (collection, scope) in
        (select collection, scope from sync_docs where deleted and updated_at_ms < ${olderThanMs})
      order by collection, scope for update
    `.execute(tx)
    const { rows } = await sql<{ count: number }>`
      with purged as (
        delete from sync_docs where deleted and updated_at_ms < ${olderThanMs} returning collection, scope, seq
      ), marked as (
        update sync_heads set purged_seq = greatest(purged_seq, latest.seq)
        from (select collection, scope, max(seq) as seq from purged group by collection, scope) as latest
        where sync_heads.collection = latest.collection and sync_heads.scope = latest.scope
      )
      select count(*) as count from purged
    `.execute(tx)
    return Number(rows[0]?.count ?? 0)
  })
}
