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
  #dirty = new Set<string>()
  readonly #meta: Promise<ReplicationMeta>
  readonly #setAside: () => Promise<Record<string, RejectedWrite>>
  #scanned = false
  #looking = false
  #countedAtMs = 0
  #closed = false

  constructor(options: {
    readonly collection: AnyCollection
    readonly meta: Promise<ReplicationMeta>
    /** Writes the server refused; a document that is still as it was refused does not count as pending. */
    readonly setAside: () => Promise<Record<string, RejectedWrite>>
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
    this.#counts = options.counts
    if (!options.counts) return
    this.#watchDocuments()
    void this.#begin(options.initialCheckpoint)
  }

  get count(): PendingCount {
    if (!this.#counts) return { count: 0, exact: true, countedAtMs: this.#world.clock.nowMs() }
    const exact = this.#scanned && !this.#looking && this.#dirty.size === 0
    return { count: this.#pending.size, exact, countedAtMs: this.#countedAtMs }
  }

  get rejected(): number {
    return this.#rejected.size
  }

  get unacknowledgedIds(): string[] {
    return [...this.#pending, ...this.#rejected]
  }

  /** The replication of this tab writes through an instance of its own; its acknowledgements are seen there first. */
  followAcknowledgements(changes: Changes<MetaDocument>): Subscription {
    return changes.subscribe(({ events }) => {
      for (const { documentData } of events) if (this.#knows(documentData.itemId)) this.#mark(documentData.itemId)
    })
  }

  /** Counts from storage, now. Exact as of its beginning; exact for good if nobody can write. */
  async recount(range: 'tail' | 'all' = 'tail'): Promise<number> {
    if (!this.#counts) return 0
    const meta = await this.#meta
    const found = await meta.scan(range)
    const behind = await meta.unacknowledged([...this.#pending, ...this.#rejected].filter((id) => !found.has(id)))
    await this.#replace(new Map([...found, ...behind]))
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
      const found = await meta.scan('tail', initialCheckpoint)
      const aside = await meta.unacknowledged(Object.keys(await this.#setAside()))
      this.#scanned = true
      await this.#replace(new Map([...found, ...aside, ...(await meta.unacknowledged([...this.#pending]))]))
    } catch {
      // The database was closed meanwhile. The count stays inexact.
    }
  }

  #watchDocuments(): void {
    const changes = this.#collection.storageInstance.changeStream() as Changes<Doc>
    const watch = changes.subscribe(({ events, context }) => {
      const pulled = context.startsWith(DOWNSTREAM_CONTEXT)
      for (const { documentId } of events) if (!pulled || this.#knows(documentId)) this.#mark(documentId)
    })
    this.#subscriptions.add(watch)
  }

  #mark(id: string): void {
    this.#dirty.add(id)
    if (this.#looking) return
    this.#looking = true
    this.#changed()
    this.#world.timers.start(GATHER_MS, () => void this.#look(), { background: true })
  }

  async #look(): Promise<void> {
    try {
      while (this.#dirty.size > 0 && !this.#closed) {
        const ids = [...this.#dirty]
        this.#dirty.clear()
        const unacknowledged = await (await this.#meta).unacknowledged(ids)
        await this.#sort(ids, unacknowledged)
      }
      this.#countedAtMs = this.#world.clock.nowMs()
    } catch {
      this.#scanned = false // the database is closing: what was counted last still shows, but is not exact
    }
    this.#looking = false
    if (!this.#closed) this.#changed()
  }

  #knows(id: string): boolean {
    return this.#pending.has(id) || this.#rejected.has(id)
  }

  async #replace(unacknowledged: ReadonlyMap<string, DocState>): Promise<void> {
    this.#pending.clear()
    this.#rejected.clear()
    await this.#sort([], unacknowledged)
    this.#countedAtMs = this.#world.clock.nowMs()
    if (!this.#closed) this.#changed()
  }

  async #sort(looked: readonly string[], unacknowledged: ReadonlyMap<string, DocState>): Promise<void> {
    const aside = await this.#setAside()
    const { isEqual } = this.#collection.conflictHandler
    for (const id of looked) {
      this.#pending.delete(id)
      this.#rejected.delete(id)
    }
    for (const [id, state] of unacknowledged) {
      const refused = aside[id]
      const unchanged = refused !== undefined && isEqual(refused.state, state, 'nightlatch-rejected')
      ;(unchanged ? this.#rejected : this.#pending).add(id)
    }
  }
}
