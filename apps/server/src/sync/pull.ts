import type { JsonObject, Tx } from '../database/schema.ts'
import { type Checkpoint, checkPosition } from './checkpoint.ts'
import { type Collection, inShapeOfToday } from './collections.ts'
import { readableState } from './push-plan.ts'
import type { Scope } from './scope.ts'

export interface PullRequest {
  readonly collection: Collection
  readonly scopes: readonly Scope[]
  readonly userId: string
  readonly limit: number
  readonly since: Checkpoint | undefined
}

export interface PullAnswer {
  readonly documents: readonly JsonObject[]
  readonly checkpoint: Checkpoint
}

/** The next documents after `since`, at most `limit`, scope by scope. Fewer than `limit`: there are no more for now. */
export async function pull(tx: Tx, { collection, scopes, userId, limit, since }: PullRequest): Promise<PullAnswer> {
  const { incarnation } = await tx.selectFrom('server').select('incarnation').executeTakeFirstOrThrow()
  if (since) await checkPositions(tx, collection.name, scopes, since, incarnation)
  const documents: JsonObject[] = []
  const positions: Record<string, number> = { ...since?.scopes }

  for (const { alias, key } of scopes) {
    const seen = since?.scopes[alias] ?? 0
    const room = limit - documents.length
    const rows = room === 0 ? [] : await documentsAfter(tx, collection.name, key, seen, room)
    documents.push(...rows.map((row) => readableState(collection, row.id, inShapeOfToday(collection, row), { scope: alias, userId })))
    positions[alias] = rows.at(-1)?.seq ?? seen
  }
  return { documents, checkpoint: { incarnation, scopes: positions } }
}

async function documentsAfter(tx: Tx, collection: string, scope: string, seq: number, limit: number) {
  return tx
    .selectFrom('sync_docs')
    .select(['id', 'seq', 'deleted', 'data'])
    .where('collection', '=', collection)
    .where('scope', '=', scope)
    .where('seq', '>', seq)
    .orderBy('seq')
    .limit(limit)
    .execute()
}

async function checkPositions(tx: Tx, collection: string, scopes: readonly Scope[], since: Checkpoint, incarnation: string): Promise<void> {
  const keys = scopes.map(({ key }) => key)
  const rows = await tx
    .selectFrom('sync_heads')
    .select(['scope', 'seq', 'purged_seq as purgedSeq'])
    .where('collection', '=', collection)
    .where('scope', 'in', keys)
    .execute()
  const heads = new Map(rows.map((row) => [row.scope, row]))
  for (const { alias, key } of scopes) {
    checkPosition(since.scopes[alias] ?? 0, heads.get(key) ?? { seq: 0, purgedSeq: 0 }, since.incarnation === incarnation)
  }
}
