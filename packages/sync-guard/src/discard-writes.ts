import { createRevision, now, type RxDocumentData } from 'rxdb/plugins/core'
import type { AnyCollection, Doc, MetaDocument, ReplicationMeta } from './replication-meta.ts'

/**
 * Puts documents back to what the server is assumed to have of them. Those it never had are deleted here, in a way that is not pushed either.
 * Only while nothing replicates and nobody writes.
 */
export async function discardWrites(collection: AnyCollection, meta: ReplicationMeta, ids: readonly string[]): Promise<void> {
  const storage = collection.storageInstance.originalStorageInstance
  const documents: RxDocumentData<Doc>[] = await storage.findDocumentsById([...ids], true)
  const assumed = await meta.assumed(ids)
  const { token } = collection.database
  const idOf = (document: RxDocumentData<Doc>) => String(document[collection.schema.primaryPath])

  const reverted = documents.map((previous) => {
    const master = assumed.get(idOf(previous))?.docData as Doc | undefined
    const state = master ?? { ...previous, _deleted: true }
    const document = {
      ...state,
      _attachments: previous._attachments,
      _meta: { ...previous._meta, lwt: now() },
      _rev: createRevision(token, previous),
    } as RxDocumentData<Doc>
    return { previous, document }
  })
  const unknown = reverted.filter(({ previous }) => !assumed.has(idOf(previous)))
  const remembered = unknown.map(({ document: { _attachments, _meta, _rev, ...docData } }): { document: RxDocumentData<MetaDocument> } => {
    const itemId = String(docData[collection.schema.primaryPath])
    const id = meta.metaId(itemId)
    const rest = { _attachments: {}, _deleted: false, _meta: { lwt: now() }, _rev: createRevision(token) }
    return { document: { id, itemId, isCheckpoint: '0', docData, ...rest } }
  })
  if (remembered.length > 0) await meta.instance.bulkWrite(remembered, 'nightlatch-discard')
  if (reverted.length > 0) await storage.bulkWrite(reverted, 'nightlatch-discard')
}
