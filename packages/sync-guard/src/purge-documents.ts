import { createRevision, deepEqual, now, type RxDocumentData } from 'rxdb/plugins/core'
import { emptied, type Schema } from './emptied-document.ts'
import type { AnyCollection, Doc, DocState, MetaDocument, ReplicationMeta } from './replication-meta.ts'

const AT_ONCE = 200

/**
 * Removes documents as if the server had said that it has them no longer: nothing is pushed, and what they held is overwritten. Those with a write
 * that the server does not have stay.
 *
 * @param meta `undefined` for a replication without push, which keeps none: there is nothing that the server does not have
 */
export async function purgeDocuments(
  collection: AnyCollection,
  meta: ReplicationMeta | undefined,
  ids: readonly string[],
): Promise<number> {
  let purged = 0
  for (let start = 0; start < ids.length; start += AT_ONCE) purged += await purge(collection, meta, ids.slice(start, start + AT_ONCE))
  return purged
}

async function purge(
  collection: AnyCollection,
  meta: ReplicationMeta | undefined,
  ids: readonly string[],
  as: (schema: Schema, document: RxDocumentData<Doc>) => DocState = emptied,
): Promise<number> {
  const storage = collection.storageInstance.originalStorageInstance
  const { token } = collection.database
  const documents: RxDocumentData<Doc>[] = await storage.findDocumentsById([...ids], false)
  const idOf = (document: RxDocumentData<Doc>) => String(document[collection.schema.primaryPath])
  // Asked after reading: a write that comes in between shows here, and one that comes later makes the write below fail.
  const pending = meta ? await meta.unacknowledged(documents.map(idOf)) : new Map<string, DocState>()
  const known = meta ? await meta.assumed(documents.map(idOf)) : new Map<string, RxDocumentData<MetaDocument>>()
  const { jsonSchema } = collection.schema
  const idle = documents.filter((document) => {
    const id = idOf(document)
    return !pending.has(id) || wasInterrupted(jsonSchema, document, known.get(id))
  })
  if (idle.length === 0) return 0

  // The assumption first: a crash in between leaves documents that look edited here, never deletions that would be pushed.
  await meta?.instance.bulkWrite(
    idle.map((document) => {
      const itemId = idOf(document)
      const previous = known.get(itemId)
      const assumption: RxDocumentData<MetaDocument> = {
        id: meta.metaId(itemId),
        itemId,
        isCheckpoint: '0',
        docData: as(jsonSchema, document),
        _attachments: {},
        _deleted: false,
        _meta: { lwt: now(), [PURGED]: true },
        _rev: createRevision(token, previous),
      }
      return previous ? { previous, document: assumption } : { document: assumption }
    }),
    'nightlatch-purge',
  )
  const { error } = await storage.bulkWrite(
    idle.map((previous) => {
      const document = {
        ...as(jsonSchema, previous),
        _attachments: {},
        _meta: { ...previous._meta, lwt: now() },
        _rev: createRevision(token, previous),
      } as RxDocumentData<Doc>
      return { previous, document }
    }),
    'nightlatch-purge',
  )
  const invalid = error.filter(({ status }) => status === 422).map(({ documentId }) => documentId)
  const withContent = invalid.length > 0 && as === emptied ? await purge(collection, meta, invalid, (_, document) => deleted(document)) : 0
  return idle.length - error.length + withContent
}

/** Marks an assumption that was written for a purge. RxDB may carry the mark on to another state. */
const PURGED = 'nightlatchPurged'

/** Between the two writes: the assumption says that it is gone, and the document has not been written since. */
function wasInterrupted(schema: Schema, document: RxDocumentData<Doc>, known: RxDocumentData<MetaDocument> | undefined): boolean {
  if (!known || (known._meta as Record<string, unknown>)[PURGED] !== true || document._meta.lwt > known._meta.lwt) return false
  return [emptied(schema, document), deleted(document)].some((gone) => deepEqual(gone, known.docData))
}

/** With its content, where a validator will not have it without. */
function deleted({ _meta, _rev, _attachments, ...state }: RxDocumentData<Doc>): DocState {
  return { ...state, _deleted: true }
}
