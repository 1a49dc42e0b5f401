import type { World } from '@nightlatch/auth-core/world'
import { createRevision, now } from 'rxdb/plugins/core'
import { settledWithin } from './halt.ts'
import type { DocState, ReplicationMeta } from './replication-meta.ts'
import type { PushRow } from './replication-options.ts'

/** What RxDB was given and may still have to write. */
interface UnwrittenPage {
  readonly documents: readonly DocState[]
  readonly written: Promise<unknown>
}

/** At least this many of the documents pulled last are remembered. */
const REMEMBERED = 2_000
/** How long a push lets a pull be written first. Only a pull that itself waits for a push takes longer. */
const PERSIST_MS = 1_000

/**
 * RxDB runs pull and push side by side and reads a document and what the server is assumed to have of it at different moments. Three things go wrong:
 * an answer of the server from before a push overwrites what was pushed, also one that came before the push was sent and is written after it; a document
 * that has just been pulled is pushed back as if it had been written here; an old state read before a pull is pushed over the new one. This keeps the two
 * directions from overlapping where it matters.
 */
export class Freshness {
  readonly #meta: ReplicationMeta
  readonly #idOf: (document: DocState) => string
  readonly #isEqual: (a: DocState, b: DocState) => boolean
  readonly #token: string
  readonly #world: World
  readonly #pushes: boolean
  readonly #pulled = new Map<string, DocState>()
  /** Pulled since the last push, in order: only a push asks for documents by their ids. */
  #pages: (readonly DocState[])[] = []
  #inPages = 0
  readonly #unwritten = new Set<UnwrittenPage>()
  readonly #answered = new Map<string, number>()
  readonly #sending = new Set<Promise<unknown>>()
  #clock = 0

  constructor(options: {
    readonly meta: ReplicationMeta
    readonly idOf: (document: DocState) => string
    readonly isEqual: (a: DocState, b: DocState) => boolean
    readonly token: string
    readonly world: World
    /** Without a push nothing can overlap. */
    readonly pushes: boolean
  }) {
    this.#meta = options.meta
    this.#idOf = options.idOf
    this.#isEqual = options.isEqual
    this.#token = options.token
    this.#world = options.world
    this.#pushes = options.pushes
  }

  /** A moment to ask about later. */
  get moment(): number {
    return this.#clock
  }

  /** Whether pushes were answered since `moment` for any of these documents, so that what was pulled may be from before. Waits for those on their way. */
  async isStale(documents: readonly DocState[], moment: number): Promise<boolean> {
    while (this.#sending.size > 0) await Promise.allSettled(this.#sending)
    if (this.#clock === moment) return false
    return documents.some((document) => (this.#answered.get(this.#idOf(document)) ?? 0) > moment)
  }

  /** These are handed to RxDB now; `written` settles when it has written them. */
  pulled(documents: readonly DocState[], written: () => Promise<unknown> | undefined): void {
    if (!this.#pushes || documents.length === 0) return
    this.#pages.push(documents)
    this.#inPages += documents.length
    while (this.#inPages - (this.#pages[0]?.length ?? 0) >= REMEMBERED) {
      this.#inPages -= this.#pages.shift()?.length ?? 0
      this.#pulled.clear() // what it has of these documents is older still
    }
    const page = { documents, written: Promise.resolve().then(written) }
    this.#unwritten.add(page)
    void page.written.catch(() => {}).finally(() => this.#unwritten.delete(page))
  }

  /** Waits, not for ever, until RxDB has written what was pulled of these documents. */
  async written(ids: ReadonlySet<string>): Promise<void> {
    const pages = this.#unwrittenPagesOf(ids)
    if (pages.length === 0) return
    await settledWithin(Promise.all(pages.map((page) => page.written)), PERSIST_MS, this.#world)
    for (const page of pages) this.#unwritten.delete(page)
  }

  /** Whether `written` would have to wait. */
  isUnwritten(ids: ReadonlySet<string>): boolean {
    return this.#unwrittenPagesOf(ids).length > 0
  }

  /** The server no longer has what it had. */
  forget(): void {
    this.#pulled.clear()
    this.#pages = []
    this.#inPages = 0
  }

  /** A push on its way. */
  async sending<T>(ids: Iterable<string>, request: Promise<T>): Promise<T> {
    this.#sending.add(request)
    try {
      return await request
    } finally {
      this.#sending.delete(request)
      this.#clock += 1
      this.#readPages()
      for (const id of ids) {
        this.#answered.set(id, this.#clock)
        this.#pulled.delete(id) // the server has a state of ours now, so that going back to the one before is a write
      }
    }
  }

  /** Those rows that are writes of this device still. For the others RxDB is kept from noting the state that it read too early. */
  async stillLocal(rows: readonly PushRow<DocState>[]): Promise<PushRow<DocState>[]> {
    await this.written(new Set(rows.map(({ newDocumentState }) => this.#idOf(newDocumentState))))
    this.#readPages()
    const mine = rows.filter(({ newDocumentState }) => {
      const pulled = this.#pulled.get(this.#idOf(newDocumentState))
      return pulled === undefined || !this.#isEqual(pulled, newDocumentState)
    })
    const unacknowledged = await this.#meta.unacknowledged(mine.map(({ newDocumentState }) => this.#idOf(newDocumentState)))
    const overtaken = mine.filter(({ newDocumentState }) => !unacknowledged.has(this.#idOf(newDocumentState)))
    await this.#keep(overtaken.map(({ newDocumentState }) => this.#idOf(newDocumentState)))
    return mine.filter((row) => !overtaken.includes(row))
  }

  #unwrittenPagesOf(ids: ReadonlySet<string>): UnwrittenPage[] {
    return [...this.#unwritten].filter(({ documents }) => documents.some((document) => ids.has(this.#idOf(document))))
  }

  /** From pages to single documents. */
  #readPages(): void {
    if (this.#pulled.size > REMEMBERED) this.#pulled.clear()
    for (const page of this.#pages) for (const document of page) this.#pulled.set(this.#idOf(document), document)
    this.#pages = []
    this.#inPages = 0
  }

  /** A new revision of the same assumption: RxDB's own, older one meets a conflict and is dropped. */
  async #keep(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    const known = await this.#meta.assumed(ids)
    const rows = [...known.values()].map((previous) => ({
      previous,
      document: { ...previous, _meta: { lwt: now() }, _rev: createRevision(this.#token, previous) },
    }))
    await this.#meta.instance.bulkWrite(rows, 'nightlatch-overtaken')
  }
}
