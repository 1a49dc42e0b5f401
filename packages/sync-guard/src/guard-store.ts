import {
  createRevision,
  fillWithDefaultSettings,
  now,
  type RxDatabase,
  type RxDocumentData,
  type RxJsonSchema,
  type RxStorageInstance,
} from 'rxdb/plugins/core'

/** What the guard itself must remember, in a storage instance beside the collections: it takes none of RxDB's 13. */
interface Entry {
  readonly id: string
  readonly value: { readonly json: unknown }
}

const schema: RxJsonSchema<RxDocumentData<Entry>> = fillWithDefaultSettings<Entry>({
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 2300 }, value: { type: 'object', additionalProperties: true } },
  required: ['id', 'value'],
})

export const GUARD_STORE_NAME = 'nightlatch-sync-guard'

/** A durable map from names to JSON values, one per database. Reads see what other tabs wrote. */
export class GuardStore {
  // biome-ignore lint/suspicious/noExplicitAny: internals of whatever storage the database has.
  readonly #instance: RxStorageInstance<Entry, any, any>
  readonly #token: string
  #last: Promise<unknown> = Promise.resolve()

  static async open(database: RxDatabase): Promise<GuardStore> {
    const instance = await database.storage.createStorageInstance<Entry>({
      databaseName: database.name,
      collectionName: GUARD_STORE_NAME,
      databaseInstanceToken: database.token,
      multiInstance: database.multiInstance,
      options: {},
      schema,
      password: database.password as unknown,
      devMode: false,
    })
    return new GuardStore(instance, database.token)
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above.
  private constructor(instance: RxStorageInstance<Entry, any, any>, token: string) {
    this.#instance = instance
    this.#token = token
  }

  async read<T>(id: string): Promise<T | undefined> {
    const [document] = await this.#instance.findDocumentsById([id], false)
    return document && (document.value.json as T)
  }

  /** Writes one after the other; a write that meets another tab's goes on top of it. */
  write(id: string, json: unknown): Promise<void> {
    const write = this.#last.then(() => this.#write(id, json))
    this.#last = write.catch(() => {})
    return write
  }

  async close(): Promise<void> {
    await this.#last
    await this.#instance.close()
  }

  async #write(id: string, json: unknown): Promise<void> {
    for (;;) {
      const [previous] = await this.#instance.findDocumentsById([id], true)
      const document: RxDocumentData<Entry> = {
        id,
        value: { json },
        _deleted: false,
        _attachments: {},
        _meta: { lwt: now() },
        _rev: createRevision(this.#token, previous),
      }
      const { error } = await this.#instance.bulkWrite([previous ? { previous, document } : { document }], 'nightlatch-guard')
      if (error.length === 0) return
      if (error[0]?.status !== 409) throw new Error(`The storage refused what the sync guard must remember (${error[0]?.status}).`)
    }
  }
}
