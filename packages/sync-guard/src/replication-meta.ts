import {
  getChangedDocumentsSince,
  getComposedPrimaryKeyOfDocumentData,
  getPrimaryFieldOfPrimaryKey,
  getRxReplicationMetaInstanceSchema,
  hasEncryption,
  type RxCollection,
  type RxDatabase,
  type RxDocumentData,
  type RxJsonSchema,
  type RxStorageInstance,
  type RxStorageReplicationMeta,
  type WithDeleted,
  writeDocToDocState,
} from 'rxdb/plugins/core'

/** Inside the guard a document is anything with string keys; its type is the app's business. */
export type Doc = Record<string, unknown>
/** One state of a document, as the server sees it. */
export type DocState = WithDeleted<Doc>
export type AnyCollection = RxCollection<Doc, unknown, unknown, unknown>
export type MetaDocument = RxStorageReplicationMeta<Doc, unknown>
// biome-ignore lint/suspicious/noExplicitAny: the internals of whatever storage the database has.
export type MetaInstance = RxStorageInstance<MetaDocument, any, any>

/** Written by RxDB with what a replication pulled; every other context is somebody's own write. */
export const DOWNSTREAM_CONTEXT = 'replication-downstream-'

/**
 * What a replication keeps about the server: its checkpoints, and of each document the state that the server is assumed to have.
 * Opened apart from the replication, so that it can be read before, while and after one runs, and in tabs where none does.
 */
export class ReplicationMeta {
  readonly collection: AnyCollection
  readonly #identifier: string
  readonly instance: MetaInstance

  static async open(collection: AnyCollection, replicationIdentifier: string): Promise<ReplicationMeta> {
    const database: RxDatabase = collection.database
    const schema: RxJsonSchema<RxDocumentData<Doc>> = collection.schema.jsonSchema
    const instance = await database.storage.createStorageInstance<MetaDocument>({
      databaseName: database.name,
      collectionName: await metaCollectionName(collection, replicationIdentifier),
      databaseInstanceToken: database.token,
      multiInstance: database.multiInstance,
      options: {},
      schema: getRxReplicationMetaInstanceSchema<Doc, unknown>(schema, hasEncryption(schema)),
      password: database.password as unknown,
      devMode: false,
    })
    return new ReplicationMeta(collection, replicationIdentifier, instance)
  }

  private constructor(collection: AnyCollection, identifier: string, instance: MetaInstance) {
    this.collection = collection
    this.#identifier = identifier
    this.instance = instance
  }

  /** Those of these documents whose state the server is not known to have. */
  async unacknowledged(ids: readonly string[]): Promise<Map<string, DocState>> {
    if (ids.length === 0) return new Map()
    return this.#unacknowledgedOf(await this.#storage.findDocumentsById([...ids], true))
  }

  /** The same for every document changed since the last acknowledged one (`tail`) or for all there are (`all`). */
  async scan(range: 'tail' | 'all', initialCheckpoint?: unknown): Promise<Map<string, DocState>> {
    const found = new Map<string, DocState>()
    let checkpoint = range === 'tail' ? ((await this.#upCheckpoint()) ?? initialCheckpoint) : undefined
    for (;;) {
      const changed = await getChangedDocumentsSince(this.#storage, SCAN_SIZE, checkpoint)
      for (const [id, state] of await this.#unacknowledgedOf(changed.documents)) found.set(id, state)
      if (changed.documents.length < SCAN_SIZE) return found
      checkpoint = changed.checkpoint
    }
  }

  /** What the server is assumed to have of these documents. */
  async assumed(ids: readonly string[]): Promise<Map<string, RxDocumentData<MetaDocument>>> {
    const documents = await this.instance.findDocumentsById(
      ids.map((id) => this.metaId(id)),
      true,
    )
    return new Map(documents.map((document) => [document.itemId, document]))
  }

  metaId(itemId: string): string {
    const parts = { itemId, isCheckpoint: '0' } as MetaDocument
    return getComposedPrimaryKeyOfDocumentData(this.instance.schema, parts)
  }

  async close(): Promise<void> {
    await this.instance.close()
  }

  // biome-ignore lint/suspicious/noExplicitAny: internals of the storage, as above.
  get #storage(): RxStorageInstance<Doc, any, any> {
    return this.collection.storageInstance
  }

  async #upCheckpoint(): Promise<unknown> {
    const parts = { itemId: 'up', isCheckpoint: '1' } as MetaDocument
    const [document] = await this.instance.findDocumentsById([getComposedPrimaryKeyOfDocumentData(this.instance.schema, parts)], false)
    return document?.checkpointData
  }

  async #unacknowledgedOf(documents: readonly RxDocumentData<Doc>[]): Promise<Map<string, DocState>> {
    const primaryPath = getPrimaryFieldOfPrimaryKey(this.#storage.schema.primaryKey)
    const byId = new Map(documents.map((document) => [String(document[primaryPath]), document]))
    const assumed = await this.assumed([...byId.keys()])
    const unacknowledged = new Map<string, DocState>()
    for (const [id, document] of byId) {
      const state = writeDocToDocState(document, !!this.#storage.schema.attachments, false)
      if (!this.#isAcknowledged(document, state, assumed.get(id))) unacknowledged.set(id, state)
    }
    return unacknowledged
  }

  /** As RxDB's upstream decides it, revisions of CouchDB included. */
  #isAcknowledged(document: RxDocumentData<Doc>, state: DocState, meta: RxDocumentData<MetaDocument> | undefined): boolean {
    if (!meta) return false
    const master = meta.docData as DocState
    if (this.collection.conflictHandler.isEqual(master, state, 'nightlatch-pending')) return true
    const pulledHeight = (document._meta as Record<string, unknown>)[`rxdbreplication${this.#identifier}`]
    return typeof master._rev === 'string' && pulledHeight === Number(document._rev.split('-')[0])
  }
}

const SCAN_SIZE = 1000

/** Every document that is stored, deleted ones too. */
export async function scanDocuments(collection: AnyCollection): Promise<(readonly [id: string, state: DocState])[]> {
  const found: (readonly [string, DocState])[] = []
  let checkpoint: unknown
  for (;;) {
    const changed = await getChangedDocumentsSince(
      collection.storageInstance as RxStorageInstance<Doc, unknown, unknown>,
      SCAN_SIZE,
      checkpoint as never,
    )
    for (const document of changed.documents) {
      const state = writeDocToDocState(document, !!collection.storageInstance.schema.attachments, false)
      found.push([String(document[collection.schema.primaryPath]), state])
    }
    if (changed.documents.length < SCAN_SIZE) return found
    checkpoint = changed.checkpoint
  }
}

/** RxDB's own recipe (`metaInfoPromise` of its replication state); a test holds both together. */
export async function metaCollectionName(collection: AnyCollection, replicationIdentifier: string): Promise<string> {
  return `rx-replication-meta-${await collection.database.hashFunction(`${collection.name}-${replicationIdentifier}`)}`
}
