import { type Revision, RevisionConflict } from '@nightlatch/auth-core'
import {
  createRxDatabase,
  getWrittenDocumentsFromBulkWriteResponse,
  type MangoQuerySelector,
  normalizeMangoQuery,
  prepareQuery,
  type RxCollection,
  type RxDatabase,
  type RxDocumentData,
  type RxJsonSchema,
  type RxStorage,
} from 'rxdb/plugins/core'
import type { Observable } from 'rxjs'
import { map } from 'rxjs'

/** A row of the collection. What is in `row` is our own affair (`user-row.ts`, `device-row.ts`), so the schema never has to change. */
interface RowDocument {
  key: string
  row: object
}

/** Version 0 for ever: a later version of Nightlatch changes what is inside the rows, never their table. */
const rowSchema: RxJsonSchema<RowDocument> = {
  title: 'nightlatch users',
  version: 0,
  primaryKey: 'key',
  type: 'object',
  properties: { key: { type: 'string', maxLength: 64 }, row: { type: 'object' } },
  required: ['key', 'row'],
}

export interface Row {
  readonly key: string
  readonly revision: Revision
  readonly content: unknown
}

/**
 * One RxDB collection as a table of rows with compare-and-set. Reads and writes go to the collection's storage instance:
 * RxQuery and RxDocument answer from a cache that lags behind other tabs.
 */
export interface RowStore {
  read(key: string): Promise<Row | null>
  readAll(): Promise<readonly Row[]>
  /** `previous: null` creates. @throws {RevisionConflict} when another writer was first */
  write(key: string, previous: Row | null, content: object): Promise<Row>
  /** Overwrites the row and leaves a tombstone that holds `content`. @throws {RevisionConflict} */
  erase(previous: Row, content: object): Promise<void>
  /** Keys of erased rows whose tombstones are still there. */
  tombstones(): Promise<readonly string[]>
  purgeTombstones(): Promise<void>
  /** Keys of rows as this instance sees them change. */
  readonly changedKeys$: Observable<readonly string[]>
  close(): Promise<void>
}

let opened = 0

export async function openRowStore(name: string, storage: RxStorage<unknown, unknown>): Promise<RowStore> {
  const database = await createRxDatabase({
    name,
    storage: underOwnName(storage),
    multiInstance: false, // other tabs are told through the World's channel, and asked through storage
    eventReduce: false,
  })
  try {
    const { users } = await database.addCollections({ users: { schema: rowSchema } })
    return rowsOf(database, users)
  } catch (error) {
    await database.close()
    throw error
  }
}

/**
 * RxDB refuses a second open database of one name and storage name in a realm; every store gets its own, as every tab does.
 * The prefix keeps RxDB's dev-mode from asking for a schema validator: rows are checked where they are read.
 */
function underOwnName<Internals, Options>(storage: RxStorage<Internals, Options>): RxStorage<Internals, Options> {
  opened += 1
  const name = { value: `validate-nightlatch-${opened}-${storage.name}`, enumerable: true }
  return Object.create(storage, { name }) as RxStorage<Internals, Options>
}

function rowsOf(database: RxDatabase, { storageInstance, schema }: RxCollection<RowDocument>): RowStore {
  const rowsThatAre = (deleted: boolean) => {
    // RxDB's type of selectors does not know the members that every stored document has.
    const selector = { _deleted: { $eq: deleted } } as MangoQuerySelector<RowDocument>
    return storageInstance.query(prepareQuery(schema.jsonSchema, normalizeMangoQuery(schema.jsonSchema, { selector })))
  }
  const stored = new WeakMap<Row, RxDocumentData<RowDocument>>()
  const toRow = (document: RxDocumentData<RowDocument>): Row => {
    const row: Row = { key: document.key, revision: document._rev as Revision, content: document.row }
    stored.set(row, document)
    return row
  }

  const write = async (key: string, previous: Row | null, content: object, deleted: boolean): Promise<Row> => {
    const before = previous ? stored.get(previous) : undefined
    const document: RxDocumentData<RowDocument> = {
      key,
      row: content,
      _deleted: deleted,
      _attachments: {},
      _meta: before ? { ...before._meta } : { lwt: 1 },
      _rev: before?._rev ?? '',
    }
    const rows = [before ? { previous: before, document } : { document }]
    const answer = await storageInstance.bulkWrite(rows, 'nightlatch')
    const lost = answer.error[0]
    if (lost?.status === 409) throw new RevisionConflict('The record was changed by another writer. Read it again.')
    if (lost) throw new Error(`RxDB refused a write with status ${lost.status}.`)
    const [written] = getWrittenDocumentsFromBulkWriteResponse('key', rows, answer)
    if (!written) throw new Error('RxDB reported a write and gave nothing back.')
    return toRow(written)
  }

  return {
    async read(key) {
      const [document] = await storageInstance.findDocumentsById([key], false)
      return document ? toRow(document) : null
    },
    async readAll() {
      const { documents } = await rowsThatAre(false)
      return documents.map(toRow)
    },
    write: (key, previous, content) => write(key, previous, content, false),
    erase: async (previous, content) => void (await write(previous.key, previous, content, true)),
    async tombstones() {
      const { documents } = await rowsThatAre(true)
      return documents.map(({ key }) => key)
    },
    async purgeTombstones() {
      await storageInstance.cleanup(0)
    },
    changedKeys$: storageInstance.changeStream().pipe(map(({ events }) => events.map((event) => event.documentId))),
    async close() {
      await database.close()
    },
  }
}
