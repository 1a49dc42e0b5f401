import type { World } from '@nightlatch/auth-core/world'
import type { EventBulk, RxStorageChangeEvent } from 'rxdb/plugins/core'
import { type Observable, Subscription } from 'rxjs'
import type { RejectedWrite } from './rejected-writes.ts'
import {
  type AnyCollection,
  DOWNSTREAM_CONTEXT,
  type Doc,
  type DocState,
  type MetaDocument,
  type ReplicationMeta,
} from './replication-meta.ts'
import type { PendingCount } from './sync-state.ts'

/** Writes come in bursts; they are looked at together. */
const GATHER_MS = 20

type Changes<T> = Observable<EventBulk<RxStorageChangeEvent<T>, unknown>>

/**
 * Counts the local writes of one collection that the server has not acknowledged: once by a scan, then live, by looking again at the documents
 * that changed on either side. Works in every tab and whether a replication runs or not.
 */
export class PendingWrites {
  readonly #collection: AnyCollection
  readonly #world: World
  readonly #changed: () => void
  readonly #counts: boolean
  readonly #subscriptions = new Subscription()
  readonly #pending = new Set<string>()
  readonly #rejected = new Set<string>()
  readonly #dirty = new Set<string>()
  readonly #meta: Promise<ReplicationMeta>
  readonly #setAside: () => Promise<ReadonlyMap<string, RejectedWrite>>
  readonly #isWritable: () => Promise<(state: DocState) => boolean>
  #scanned = false
  #looking = false
  #reading = false
  #turn: Promise<void> = Promise.resolve()
  #countedAtMs = 0
  #closed = false

  constructor(options: {
    readonly collection: AnyCollection
    readonly meta: Promise<ReplicationMeta>
    /** Writes the server refused; a document that is still as it was refused does not count as pending. */
    readonly setAside: () => Promise<ReadonlyMap<string, RejectedWrite>>
    /** A document of which it is not so counts as refused without being sent. */
    readonly isWritable: () => Promise<(state: DocState) => boolean>
    readonly initialCheckpoint?: unknown
    /** `false` for a replication without push: RxDB keeps no assumption of the server's state there, and nothing is ever pending. */
    readonly counts: boolean
    readonly world: World
    readonly changed: () => void
  }) {
    this.#collection = options.collection
    this.#world = options.world
    this.#changed = options.changed
    this.#meta = options.meta
    this.#setAside = options.setAside
    this.#isWritable = options.isWritable
    this.#counts = options.counts
    if (!options.counts) {
      this.#countedAtMs = options.world.clock.nowMs()
      return
    }
    this.#watchDocuments()
    void this.#begin(options.initialCheckpoint)
  }

  get count(): PendingCount {
    if (!this.#counts) return { count: 0, exact: true, countedAtMs: this.#countedAtMs }
    const exact = this.#scanned && !this.#reading && this.#dirty.size === 0
    return { count: this.#pending.size, exact, countedAtMs: this.#countedAtMs }
  }

  get rejected(): number {
    return this.#rejected.size
  }

  get ids(): string[] {
    return [...this.#pending]
  }

  get rejectedIds(): string[] {
    return [...this.#rejected]
  }

  get unacknowledgedIds(): string[] {
    return [...this.#pending, ...this.#rejected]
  }

  /** The replication of this tab writes through an instance of its own; its acknowledgements are seen there first. */
  followAcknowledgements(changes: Changes<MetaDocument>): Subscription {
    return changes.subscribe(({ events }) => {
      for (const { documentData } of events) this.#notice(documentData.itemId)
    })
  }

  /** Counts from storage, now. Exact as of its end; exact for good if nobody can write. */
  async recount(range: 'tail' | 'all' = 'tail'): Promise<number> {
    if (!this.#counts) return 0
    await this.#scan(range)
    return this.#pending.size
  }

  close(): void {
    this.#closed = true
    this.#subscriptions.unsubscribe()
  }

  async #begin(initialCheckpoint: unknown): Promise<void> {
    try {
      const meta = await this.#meta
      if (this.#closed) return
      this.#subscriptions.add(this.followAcknowledgements(meta.instance.changeStream()))
      await this.#scan('tail', initialCheckpoint)
    } catch {
      // The database was closed meanwhile. The count stays inexact.
    }
  }

  #watchDocuments(): void {
    const changes = this.#collection.storageInstance.changeStream() as Changes<Doc>
    const watch = changes.subscribe(({ events, context }) => {
      const pulled = context.startsWith(DOWNSTREAM_CONTEXT)
      for (const { documentId } of events) {
        if (pulled) this.#notice(documentId)
        else this.#lookAt(documentId)
      }
    })
    this.#subscriptions.add(watch)
  }

  /** Something that matters if the document counts, or if it is just being read and may come to count. */
  #notice(id: string): void {
    if (this.#reading || this.#pending.has(id) || this.#rejected.has(id)) this.#lookAt(id)
  }

  #lookAt(id: string): void {
    this.#dirty.add(id)
    if (this.#looking) return
    this.#looking = true
    this.#changed()
    this.#world.timers.start(GATHER_MS, () => void this.#look(), { background: true })
  }

  async #look(): Promise<void> {
    await this.#read(async () => {}).catch(() => {
      this.#scanned = false // the database is closing: what was counted last still shows, but is not exact
    })
    this.#looking = false
    if (!this.#closed) this.#changed()
  }

  #scan(range: 'tail' | 'all', initialCheckpoint?: unknown): Promise<void> {
    return this.#read(async (meta) => {
      const found = await meta.scan(range, initialCheckpoint)
      const aside = (await this.#setAside()).keys()
      const others = new Set([...this.#pending, ...this.#rejected, ...aside].filter((id) => !found.has(id)))
      const unacknowledged = new Map([...found, ...(await meta.unacknowledged([...others]))])
      await this.#sort([...others, ...found.keys()], unacknowledged)
      this.#scanned = true
    })
  }

  /** One reader at a time; whatever changes while it reads is looked at again before it is done. */
  #read(work: (meta: ReplicationMeta) => Promise<void>): Promise<void> {
    const reading = this.#turn.then(async () => {
      this.#reading = true
      try {
        const meta = await this.#meta
        await work(meta)
        while (this.#dirty.size > 0 && !this.#closed) {
          const ids = [...this.#dirty]
          this.#dirty.clear()
          await this.#sort(ids, await meta.unacknowledged(ids))
        }
        this.#countedAtMs = this.#world.clock.nowMs()
      } finally {
        this.#reading = false
      }
      if (!this.#closed) this.#changed()
    })
    this.#turn = reading.catch(() => {})
    return reading
  }

  async #sort(looked: readonly string[], unacknowledged: ReadonlyMap<string, DocState>): Promise<void> {
    const aside = await this.#setAside()
    const isWritable = await this.#isWritable()
    const { isEqual } = this.#collection.conflictHandler
    for (const id of looked) {
      const state = unacknowledged.get(id)
      const refused = aside.get(id)
      const isAsRefused = () =>
        refused !== undefined && !refused.retrying && isEqual(refused.state, state as DocState, 'nightlatch-rejected')
      const isRefused = state !== undefined && (!isWritable(state) || isAsRefused())
      if (isRefused) this.#rejected.add(id)
      else this.#rejected.delete(id)
      if (state !== undefined && !isRefused) this.#pending.add(id)
      else this.#pending.delete(id)
    }
  }
}
