import type { JsonObject, Tx } from '../database/schema.ts'
import { type Checkpoint, checkPosition } from './checkpoint.ts'
import { writeDocument } from './document.ts'
import type { Scope } from './scope.ts'

export interface PullAnswer {
  readonly documents: readonly JsonObject[]
  readonly checkpoint: Checkpoint
}

/** The next documents after `since`, at most `limit`, scope by scope. Fewer than `limit`: there are no more for now. */
export async function pull(
  tx: Tx,
  request: {
    readonly collection: string
    readonly scopes: readonly Scope[]
    readonly limit: number
    readonly since: Checkpoint | undefined
  },
): Promise<PullAnswer> {
  const { collection, scopes, limit, since } = request
  const { incarnation } = await tx.selectFrom('server').select('incarnation').executeTakeFirstOrThrow()
  const documents: JsonObject[] = []
  const positions: Record<string, number> = { ...since?.scopes }

  for (const { alias, key } of scopes) {
    const seen = since?.scopes[alias] ?? 0
    if (since) checkPosition(seen, await headOf(tx, collection, key), since.incarnation === incarnation)
    const rows = await tx
      .selectFrom('sync_docs')
      .select(['seq', 'deleted', 'data'])
      .where('collection', '=', collection)
      .where('scope', '=', key)
      .where('seq', '>', seen)
      .orderBy('seq')
      .limit(limit - documents.length)
      .execute()
    documents.push(...rows.map(writeDocument))
    positions[alias] = rows.at(-1)?.seq ?? seen
  }
  return { documents, checkpoint: { incarnation, scopes: positions } }
}

async function headOf(tx: Tx, collection: string, scope: string) {
  const head = await tx
    .selectFrom('sync_heads')
    .select(['seq', 'purged_seq as purgedSeq'])
    .where('collection', '=', collection)
    .where('scope', '=', scope)
    .executeTakeFirst()
  return head ?? { seq: 0, purgedSeq: 0 }
}
