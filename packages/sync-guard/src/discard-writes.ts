import { createRevision, now, type RxDocumentData } from 'rxdb/plugins/core'
import type { AnyCollection, Doc, DocState, MetaDocument, ReplicationMeta } from './replication-meta.ts'

/**
 * Puts documents back to what the server is assumed to have of them. Those it never had are deleted here, in a way that is not pushed either.
 *
 * @param neverThere ids of which the meta data says something else, because they were set aside before the server ever had them
 */
export async function discardWrites(
  collection: AnyCollection,
  meta: ReplicationMeta,
  ids: readonly string[],
  neverThere: ReadonlySet<string>,
): Promise<void> {
  const storage = collection.storageInstance.originalStorageInstance
  const { token } = collection.database
  const assumed = await meta.assumed(ids)
  const documents: RxDocumentData<Doc>[] = await storage.findDocumentsById([...ids], true)

  const rows = documents.map((previous) => {
    const itemId = String(previous[collection.schema.primaryPath])
    const known = assumed.get(itemId)
    const { _attachments, _meta, _rev, ...local } = previous
    const master = known && !neverThere.has(itemId) ? (known.docData as DocState) : undefined
    const state: DocState = master ?? { ...local, _deleted: true }
    const fork = { ...state, _attachments, _meta: { ..._meta, lwt: now() }, _rev: createRevision(token, previous) }
    return { itemId, known, remember: master ? undefined : state, write: { previous, document: fork } }
  })

  const remembered = rows.flatMap(({ itemId, known, remember }) => {
    if (!remember) return []
    const document: RxDocumentData<MetaDocument> = {
      id: meta.metaId(itemId),
      itemId,
      isCheckpoint: '0',
      docData: remember,
      _attachments: {},
      _deleted: false,
      _meta: { lwt: now() },
      _rev: createRevision(token, known),
    }
    return [known ? { previous: known, document } : { document }]
  })
  if (remembered.length > 0) await meta.instance.bulkWrite(remembered, 'nightlatch-discard')
  if (rows.length > 0) {
    await storage.bulkWrite(
      rows.map(({ write }) => write),
      'nightlatch-discard',
    )
  }
}

/** Writes documents again as they are, so that RxDB looks at them again. */
export async function touchWrites(collection: AnyCollection, ids: readonly string[]): Promise<void> {
  const documents = await collection.storageInstance.findDocumentsById([...ids], true)
  if (documents.length === 0) return
  await collection.storageInstance.bulkWrite(
    documents.map((previous) => ({ previous, document: { ...previous, _meta: { ...previous._meta } } })),
    'nightlatch-touch',
  )
}
