import { sql } from 'kysely'
import type { Tx } from '../database/schema.ts'
import { type PushPlan, type PushRow, planPush, pushedIds } from './push-plan.ts'

export interface PushTarget {
  readonly collection: string
  readonly scopeKey: string
  readonly userId: string | null
  readonly nowMs: number
}

/**
 * Writes a push in the caller's transaction. The scope's counter row stays locked until the commit, so numbers become visible in their order
 * and no reader ever skips one: timestamps and sequences lose rows under concurrent writers.
 */
export async function push(tx: Tx, target: PushTarget, rows: readonly PushRow[]): Promise<PushPlan> {
  const head = await lockHead(tx, target)
  const plan = planPush(rows, await storedStates(tx, target, pushedIds(rows)))
  if (plan.writes.length === 0) return plan

  const numbered = plan.writes.map((state, index) => ({ ...state, seq: head + index + 1 }))
  const latest = [...new Map(numbered.map((row) => [row.id, row])).values()]
  await sql`
    insert into sync_docs (collection, scope, id, seq, deleted, data, updated_at_ms, updated_by)
    select ${target.collection}, ${target.scopeKey}, r.id, r.seq, r.deleted, r.data, ${target.nowMs}, ${target.userId}
    from jsonb_to_recordset(${JSON.stringify(latest)}::jsonb) as r(id text, seq bigint, deleted boolean, data jsonb)
    on conflict (collection, scope, id) do update set
      seq = excluded.seq, deleted = excluded.deleted, data = excluded.data,
      updated_at_ms = excluded.updated_at_ms, updated_by = excluded.updated_by
  `.execute(tx)
  await tx
    .updateTable('sync_heads')
    .set({ seq: head + numbered.length })
    .where('collection', '=', target.collection)
    .where('scope', '=', target.scopeKey)
    .execute()
  return plan
}

async function lockHead(tx: Tx, { collection, scopeKey }: PushTarget): Promise<number> {
  const locked = () =>
    tx
      .selectFrom('sync_heads')
      .select('seq')
      .where('collection', '=', collection)
      .where('scope', '=', scopeKey)
      .forUpdate()
      .executeTakeFirst()
  const head = await locked()
  if (head) return head.seq
  await tx
    .insertInto('sync_heads')
    .values({ collection, scope: scopeKey, seq: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  return (await locked())?.seq ?? 0
}

async function storedStates(tx: Tx, { collection, scopeKey }: PushTarget, ids: readonly string[]) {
  const rows = await tx
    .selectFrom('sync_docs')
    .select(['id', 'deleted', 'data'])
    .where('collection', '=', collection)
    .where('scope', '=', scopeKey)
    .where('id', '=', sql<string>`any(${[...ids]}::text[])`)
    .execute()
  return new Map(rows.map(({ id, deleted, data }) => [id, { deleted, data }]))
}
