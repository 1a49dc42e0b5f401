import {
  getChangedDocumentsSince,
  type RxDatabase,
  type RxDocumentData,
  type RxJsonSchema,
  type RxStorage,
  type RxStorageInstance,
  type RxStorageInstanceCreationParams,
  writeDocToDocState,
} from 'rxdb/plugins/core'
import type { GuardStore } from './guard-store.ts'
import { migrateState } from './migrate-state.ts'
import type { AnyCollection, Doc } from './replication-meta.ts'

/** The collection of one schema version, as the device has it. */
export interface StoredCollection {
  readonly name: string
  readonly version: number
  readonly schema: RxJsonSchema<RxDocumentData<Doc>>
  /** What its replications keep about the server. */
  readonly connectedStorages: readonly ConnectedStorage[]
}

interface ConnectedStorage {
  readonly collectionName: string
  // biome-ignore lint/suspicious/noExplicitAny: as RxDB declares it.
  readonly schema: RxJsonSchema<any>
}

/** What was found in an old version's store after its migration. `superseded`: a later edit of the same document stands. */
export interface CarriedOver {
  readonly collection: string
  readonly documents: number
  readonly superseded: number
}

type Arrived = Omit<CarriedOver, 'collection'>

interface Outgrown extends StoredCollection {
  readonly sinceMs: number
  /** How far it has been looked through. Absent: its migration was not seen to end. */
  readonly looked?: Looked
}

interface Looked {
  readonly lwt: number
  /** Revisions of the last documents: one that was written a moment earlier may have been stored a moment later. */
  readonly revisions: Readonly<Record<string, string>>
}

// biome-ignore lint/suspicious/noExplicitAny: the internals of whatever storage the database has.
type Store = RxStorageInstance<Doc, any, any>

const RECORD = 'outgrown'
/** How long a tab may sleep and still have what it wrote afterwards found. Then the old store is emptied. */
const WATCHED_MS = 7 * 24 * 3_600_000
const OVERLAP_MS = 10_000
const PAGE = 200

/**
 * The stores of schema versions that were migrated. RxDB empties and forgets such a store when its migration is done, and so loses what a tab with
 * the old version of the app writes into it at that moment or later. Here it stays for a week and is looked into again at every start.
 */
export class OldStores {
  readonly #database: RxDatabase
  readonly #store: GuardStore
  #outgrown: Outgrown[]
  #turn: Promise<unknown> = Promise.resolve()

  static async load(database: RxDatabase, store: GuardStore): Promise<OldStores> {
    return new OldStores(database, store, (await store.read<Outgrown[]>(RECORD)) ?? [])
  }

  private constructor(database: RxDatabase, store: GuardStore, outgrown: Outgrown[]) {
    this.#database = database
    this.#store = store
    this.#outgrown = outgrown
  }

  /** To be called before the migration: afterwards nobody knows the old schema any more. */
  async remember(collections: readonly StoredCollection[], nowMs: number): Promise<void> {
    const same = (a: StoredCollection) => (b: StoredCollection) => a.name === b.name && a.version === b.version
    const fresh = collections.filter((one) => !this.#outgrown.some(same(one)))
    if (fresh.length === 0) return
    this.#outgrown.push(...fresh.map((one) => ({ ...one, sinceMs: nowMs })))
    await this.#store.write(RECORD, this.#outgrown)
  }

  /** Does `migrate` such that the old stores are left as they are. */
  async kept<T>(migrate: () => Promise<T>): Promise<T> {
    if (this.#outgrown.length === 0) return migrate()
    const { storage } = this.#database
    // The replication meta data too: without it an old tab's replication takes its own edits for conflicts and gives them up.
    const isOld = (name: string, version: number) =>
      this.#outgrown.some((one) => one.version === version && [one.name, ...connectedNames(one)].includes(name))
    const setStorage = (its: RxStorage<unknown, unknown>) => Object.assign(this.#database, { storage: its })
    setStorage(withoutRemoval(storage, isOld))
    try {
      return await migrate()
    } finally {
      setStorage(storage)
    }
  }

  /** Moves what old tabs have written into the collections of today, through their migration strategies. */
  carryOver(nowMs: number): Promise<CarriedOver[]> {
    const turn = this.#turn.then(() => this.#carryOver(nowMs))
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #carryOver(nowMs: number): Promise<CarriedOver[]> {
    const carried: CarriedOver[] = []
    for (const outgrown of this.#outgrown) {
      const collection: AnyCollection | undefined = this.#database.collections[outgrown.name]
      if (!collection || collection.schema.version <= outgrown.version) continue
      const old = await this.#open(outgrown.name, outgrown.schema)
      const { looked, ...found } = await lookThrough(old, outgrown, collection)
      if (found.documents + found.superseded > 0) carried.push({ collection: outgrown.name, ...found })
      const done = nowMs - outgrown.sinceMs > WATCHED_MS
      if (done) await Promise.all([old.remove(), this.#removeConnected(outgrown)])
      else await old.close()
      this.#outgrown = this.#outgrown.flatMap((one) => (one !== outgrown ? [one] : done ? [] : [{ ...one, looked }]))
      await this.#store.write(RECORD, this.#outgrown)
    }
    return carried
  }

  async #removeConnected({ connectedStorages }: Outgrown): Promise<void> {
    for (const { collectionName, schema } of connectedStorages) await (await this.#open(collectionName, schema)).remove()
  }

  #open(collectionName: string, schema: RxJsonSchema<RxDocumentData<Doc>>): Promise<Store> {
    const { name: databaseName, token } = this.#database
    return this.#database.storage.createStorageInstance<Doc>({
      databaseName,
      collectionName,
      databaseInstanceToken: token,
      multiInstance: false,
      options: {},
      schema,
      password: this.#database.password as unknown,
      devMode: false,
    })
  }
}

function withoutRemoval(
  storage: RxStorage<unknown, unknown>,
  isOld: (name: string, version: number) => boolean,
): RxStorage<unknown, unknown> {
  const createStorageInstance = async (params: RxStorageInstanceCreationParams<unknown, unknown>) => {
    const instance = await storage.createStorageInstance(params)
    if (isOld(params.collectionName, params.schema.version)) instance.remove = () => instance.close()
    return instance
  }
  return Object.create(storage, { createStorageInstance: { value: createStorageInstance } }) as RxStorage<unknown, unknown>
}

async function lookThrough(old: Store, { version, looked }: Outgrown, collection: AnyCollection) {
  const { primaryPath } = collection.schema
  const before = looked?.revisions ?? {}
  const recent: RxDocumentData<Doc>[] = []
  let [documents, superseded, lwt] = [0, 0, looked?.lwt ?? 0]
  for (let checkpoint: unknown = looked && { id: '', lwt: looked.lwt - OVERLAP_MS }; ; ) {
    const page = await getChangedDocumentsSince(old, PAGE, checkpoint)
    const news = page.documents.filter((document) => before[String(document[primaryPath])] !== document._rev)
    const arrived = await arrive(news, version, collection, looked === undefined)
    documents += arrived.documents
    superseded += arrived.superseded
    recent.push(...page.documents)
    lwt = Math.max(lwt, ...page.documents.map(({ _meta }) => _meta.lwt))
    recent.splice(0, recent.length, ...recent.filter(({ _meta }) => _meta.lwt >= lwt - OVERLAP_MS))
    if (page.documents.length < PAGE) break
    checkpoint = page.checkpoint
  }
  const revisions = Object.fromEntries(recent.map((document) => [String(document[primaryPath]), document._rev]))
  return { documents, superseded, looked: { lwt, revisions } satisfies Looked }
}

/** Writes old documents that the new store does not have yet. `first`: right after the migration, when most of them are there. */
async function arrive(left: readonly RxDocumentData<Doc>[], version: number, collection: AnyCollection, first: boolean): Promise<Arrived> {
  const { primaryPath } = collection.schema
  const { storageInstance, conflictHandler } = collection
  const ids = left.map((document) => String(document[primaryPath]))
  const known = new Map((await storageInstance.findDocumentsById(ids, true)).map((one) => [String(one[primaryPath]), one]))
  const rows: { previous?: RxDocumentData<Doc>; document: RxDocumentData<Doc> }[] = []
  let superseded = 0

  for (const straggler of left) {
    const current = known.get(String(straggler[primaryPath]))
    if (!current && straggler._deleted) continue
    if (current && (first ? current._meta.lwt >= straggler._meta.lwt : current._meta.lwt === straggler._meta.lwt)) continue
    const migrated = await migrate(straggler, version, collection)
    if (!migrated) continue
    if (!current) {
      rows.push({ document: migrated })
      continue
    }
    const here = writeDocToDocState(current, false, false)
    const there = writeDocToDocState(migrated, false, false)
    if (conflictHandler.isEqual(here, there, 'nightlatch-carry-over')) continue
    // Of two edits the later one stands, unless the app knows how to join them.
    const wins = straggler._meta.lwt > current._meta.lwt
    const facts = { newDocumentState: there, realMasterState: here }
    const state = wins ? there : await conflictHandler.resolve(facts, 'nightlatch-carry-over')
    if (conflictHandler.isEqual(here, state, 'nightlatch-carry-over')) superseded += 1
    else rows.push({ previous: current, document: { ...current, ...state, _meta: { ...current._meta } } })
  }

  if (rows.length === 0) return { documents: 0, superseded }
  const { error } = await storageInstance.bulkWrite(rows, 'nightlatch-carry-over')
  // Somebody edits the same document right now: once more, on top of that.
  const refused = new Set(error.map(({ documentId }) => documentId))
  const again = left.filter((document) => refused.has(String(document[primaryPath])))
  const more: Arrived = again.length > 0 ? await arrive(again, version, collection, false) : { documents: 0, superseded: 0 }
  return { documents: rows.length - refused.size + more.documents, superseded: superseded + more.superseded }
}

/** `undefined`: the app's strategy drops the document. */
async function migrate(straggler: RxDocumentData<Doc>, version: number, collection: AnyCollection) {
  const { _meta, _rev, ...state } = straggler
  const migrated = await migrateState(state, version, collection)
  return migrated === null ? undefined : ({ ...migrated, _meta: { lwt: 1 }, _rev: '' } as RxDocumentData<Doc>)
}

function connectedNames({ connectedStorages }: StoredCollection): string[] {
  return connectedStorages.map(({ collectionName }) => collectionName)
}
