import { createRevision, now, type RxDocumentData } from 'rxdb/plugins/core'
import type { GuardStore } from './guard-store.ts'
import type { RefusedRow } from './guarded-push.ts'
import { migrateState } from './migrate-state.ts'
import type { Doc, DocState, MetaDocument, ReplicationMeta } from './replication-meta.ts'
import type { PushRow } from './replication-options.ts'

/** A write that the server refused. It stays on the device as it is until somebody edits, retries or discards it. */
export interface RejectedWrite {
  readonly code: string
  readonly atMs: number
  /** The schema version that `state` and `assumed` are of. */
  readonly version: number
  readonly state: DocState
  /** What the server was assumed to have before; `null`: nothing. */
  readonly assumed: DocState | null
  /** Somebody asked to try again: it counts as pending until the server has answered. */
  readonly retrying?: boolean
}

type Shaped = Pick<RejectedWrite, 'version' | 'state' | 'assumed'>

/**
 * Sets refused rows aside so that the rest can pass. RxDB knows only "accepted" and "conflict", and would take a refused row for accepted; but it
 * lets a newer revision of a row of its meta data stand, so touching that row while the push is on its way keeps it unacknowledged.
 */
export class RejectedWrites {
  readonly #store: GuardStore
  readonly #name: string
  readonly #meta: ReplicationMeta
  readonly #token: string
  readonly #migrated = new Map<string, Promise<Shaped | undefined>>()

  constructor(store: GuardStore, replicationIdentifier: string, meta: ReplicationMeta, token: string) {
    this.#store = store
    this.#name = `rejected|${replicationIdentifier}`
    this.#meta = meta
    this.#token = token
  }

  async list(): Promise<Map<string, RejectedWrite>> {
    const stored = (await this.#store.read<readonly (readonly [string, RejectedWrite])[]>(this.#name)) ?? []
    const today = this.#version
    if (stored.every(([, { version }]) => version >= today)) return new Map(stored)
    const entries = stored.map(async ([id, write]) => [id, await this.#inShapeOfToday(id, write)] as const)
    return new Map((await Promise.all(entries)).filter((entry): entry is [string, RejectedWrite] => entry[1] !== undefined))
  }

  async setAside(refused: readonly RefusedRow[], atMs: number): Promise<void> {
    const known = await this.list()
    for (const { id, code, row } of refused) {
      known.set(id, { code, atMs, version: this.#version, state: row.newDocumentState, assumed: row.assumedMasterState ?? null })
    }
    await this.#save(known)
    const assumed = await this.#meta.assumed(refused.map(({ id }) => id))
    const rows = refused.map(({ id, row }) => {
      const previous = assumed.get(id)
      const docData = (row.assumedMasterState && (previous?.docData as DocState | undefined)) ?? nothing(row.newDocumentState)
      const document = this.#touched(id, docData, previous)
      return previous ? { previous, document } : { document }
    })
    await this.#meta.instance.bulkWrite(rows, 'nightlatch-set-aside')
  }

  /** Rows as the server must see them: what was set aside without ever having been there is new to it. */
  async restore(rows: readonly PushRow<Doc>[], idOf: (document: DocState) => string): Promise<PushRow<Doc>[]> {
    const known = await this.list()
    return rows.map((row) => {
      const rejected = known.get(idOf(row.newDocumentState))
      if (rejected?.assumed !== null || rejected === undefined) return row
      return { newDocumentState: row.newDocumentState }
    })
  }

  async retry(ids: readonly string[]): Promise<void> {
    const known = await this.list()
    for (const id of ids) {
      const rejected = known.get(id)
      if (rejected) known.set(id, { ...rejected, retrying: true })
    }
    await this.#save(known)
  }

  async forget(ids: readonly string[]): Promise<void> {
    const known = await this.list()
    const gone = ids.filter((id) => known.delete(id))
    if (gone.length > 0) await this.#save(known)
  }

  #save(writes: ReadonlyMap<string, RejectedWrite>): Promise<void> {
    return this.#store.write(this.#name, [...writes])
  }

  /**
   * A write from before an update of the app. What is stored stays as it is until something else is stored, so that there is nothing for a crash
   * to interrupt. `undefined`: the app's strategies have dropped the document.
   */
  async #inShapeOfToday(id: string, write: RejectedWrite): Promise<RejectedWrite | undefined> {
    if (write.version >= this.#version) return write
    const key = `${write.version}|${write.atMs}|${id}`
    const migrating = this.#migrated.get(key) ?? this.#migrate(write)
    this.#migrated.set(key, migrating)
    const migrated = await migrating.catch(() => ({})) // a strategy that fails is the app's to mend; the write stays listed
    return migrated && { ...write, ...migrated }
  }

  async #migrate({ state, assumed, version }: RejectedWrite): Promise<Shaped | undefined> {
    const { collection } = this.#meta
    const shaped = await migrateState(state, version, collection)
    if (!shaped) return undefined
    return { version: this.#version, state: shaped, assumed: assumed && (await migrateState(assumed, version, collection)) }
  }

  get #version(): number {
    return this.#meta.collection.schema.version
  }

  /** An assumption under a new revision. Where the server has nothing, it is one that no state of the document equals. */
  #touched(id: string, docData: DocState, previous: RxDocumentData<MetaDocument> | undefined): RxDocumentData<MetaDocument> {
    return {
      id: this.#meta.metaId(id),
      isCheckpoint: '0',
      itemId: id,
      docData,
      _attachments: {},
      _deleted: false,
      _meta: { lwt: now() },
      _rev: createRevision(this.#token, previous),
    }
  }
}

/** What no state of the document equals. */
function nothing(state: DocState): DocState {
  return { ...state, _deleted: !state._deleted }
}
