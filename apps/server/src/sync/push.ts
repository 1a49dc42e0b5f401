import { sql } from 'kysely'
import type { JsonObject, Tx } from '../database/schema.ts'
import { type Collection, inShapeOfToday } from './collections.ts'
import type { DocumentState } from './document.ts'
import { type PushPlan, type PushRow, planPush, type ReadRow, type RejectedRow, readRows } from './push-plan.ts'
import { routeRows } from './route-rows.ts'
import type { Scope } from './scope.ts'

export interface PushRequest {
  readonly collection: Collection
  readonly scopes: readonly Scope[]
  readonly userId: string
  readonly nowMs: number
}

export interface PushResult {
  readonly conflicts: readonly JsonObject[]
  readonly rejected: readonly RejectedRow[]
  /** Keys of the scopes that have new documents. */
  readonly changedScopes: readonly string[]
}

/** Writes a push in the caller's transaction, scope by scope. */
export async function push(tx: Tx, request: PushRequest, rows: readonly PushRow[]): Promise<PushResult> {
  const { read, rejected } = readRows(rows, request.collection.primaryKey)
  const routed = routeRows(read, request.scopes, request.collection.scopeField)
  const plans: { readonly scope: Scope; readonly plan: PushPlan }[] = []
  // Always in the same order, so that two pushes to the same scopes cannot wait for each other.
  for (const [scope, scopeRows] of [...routed.byScope].sort(([a], [b]) => (a.key < b.key ? -1 : 1))) {
    plans.push({ scope, plan: await pushToScope(tx, request, scope, scopeRows) })
  }
  return {
    conflicts: plans.flatMap(({ plan }) => plan.conflicts),
    rejected: [...rejected, ...routed.rejected, ...plans.flatMap(({ plan }) => plan.rejected)],
    changedScopes: plans.flatMap(({ scope, plan }) => (plan.writes.length > 0 ? [scope.key] : [])),
  }
}

/**
 * The scope's counter row stays locked until the commit, so numbers become visible in their order and no reader ever skips one:
 * timestamps and sequences lose rows under concurrent writers.
 */
async function pushToScope(tx: Tx, request: PushRequest, scope: Scope, rows: readonly ReadRow[]): Promise<PushPlan> {
  const place = { collection: request.collection.name, scopeKey: scope.key }
  const head = await lockHead(tx, place)
  const stored = await storedStates(tx, request.collection, scope.key, [...new Set(rows.map(({ next }) => next.id))])
  const plan = planPush(rows, stored, { collection: request.collection, scope: scope.alias, userId: request.userId })
  await writeDocuments(tx, { ...place, head, nowMs: request.nowMs, userId: request.userId }, plan.writes)
  return plan
}

interface Place {
  readonly collection: string
  readonly scopeKey: string
}

/** Numbers documents from `head` on and stores them. The head must be locked. */
export async function writeDocuments(
  tx: Tx,
  { collection, scopeKey, head, nowMs, userId }: Place & { readonly head: number; readonly nowMs: number; readonly userId: string | null },
  writes: readonly DocumentState[],
): Promise<void> {
  if (writes.length === 0) return
  const numbered = writes.map((state, index) => ({ ...state, seq: head + index + 1 }))
  const latest = [...new Map(numbered.map((row) => [row.id, row])).values()]
  // One statement: the fewer round trips, the shorter the head stays locked.
  await sql`
    with counted as (
      update sync_heads set seq = ${head + numbered.length} where collection = ${collection} and scope = ${scopeKey}
    )
    insert into sync_docs (collection, scope, id, seq, deleted, data, updated_at_ms, updated_by)
    select ${collection}, ${scopeKey}, r.id, r.seq, r.deleted, r.data, ${nowMs}, ${userId}
    from jsonb_to_recordset(${JSON.stringify(latest)}::jsonb) as r(id text, seq bigint, deleted boolean, data jsonb)
    on conflict (collection, scope, id) do update set
      seq = excluded.seq, deleted = excluded.deleted, data = excluded.data,
      updated_at_ms = excluded.updated_at_ms, updated_by = excluded.updated_by
  `.execute(tx)
}

export async function lockHead(tx: Tx, { collection, scopeKey }: Place): Promise<number> {
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

async function storedStates(tx: Tx, collection: Collection, scopeKey: string, ids: readonly string[]) {
  const rows = await tx
    .selectFrom('sync_docs')
    .select(['id', 'deleted', 'data'])
    .where('collection', '=', collection.name)
    .where('scope', '=', scopeKey)
    .where('id', '=', sql<string>`any(${[...ids]}::text[])`)
    .execute()
  return new Map(rows.map(({ id, deleted, data }) => [id, inShapeOfToday(collection, { deleted, data })]))
}
