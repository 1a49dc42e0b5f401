import { touchWrites } from './discard-writes.ts'
import type { GuardStore } from './guard-store.ts'
import type { RejectedWrites } from './rejected-writes.ts'
import { type AnyCollection, type DocState, type ReplicationMeta, scanDocuments } from './replication-meta.ts'

export type ResyncCause = 'resync-required' | 'server-restored'

/** What the server has told us not to rely on any more is pulled again from the beginning; this remembers what came, and settles what did not. */
export class Resync {
  readonly #store: GuardStore
  readonly #name: string
  readonly #seen = new Set<string>()
  readonly cause: ResyncCause

  /** The one that was under way when the last run ended, if there was one. Its pull begins anew. */
  static async unfinished(store: GuardStore, replicationIdentifier: string): Promise<Resync | undefined> {
    const cause = await store.read<ResyncCause | null>(nameOf(replicationIdentifier))
    return cause ? new Resync(store, replicationIdentifier, cause) : undefined
  }

  static async begin(store: GuardStore, replicationIdentifier: string, cause: ResyncCause): Promise<Resync> {
    await store.write(nameOf(replicationIdentifier), cause)
    return new Resync(store, replicationIdentifier, cause)
  }

  private constructor(store: GuardStore, replicationIdentifier: string, cause: ResyncCause) {
    this.#store = store
    this.#name = nameOf(replicationIdentifier)
    this.cause = cause
  }

  see(ids: Iterable<string>): void {
    for (const id of ids) this.#seen.add(id)
  }

  /**
   * Everything has been pulled. Answers what is to be written as if it had been pulled too: deletions of documents that the server no longer has.
   * After a restore nothing is removed; documents that the server has lost become pending again.
   */
  async finish(collection: AnyCollection, meta: ReplicationMeta, rejected: RejectedWrites, nowMs: number): Promise<DocState[]> {
    const unseen = (await scanDocuments(collection)).filter(([id, state]) => !this.#seen.has(id) && !state._deleted)
    const acknowledged = await this.#acknowledged(unseen, meta)
    await this.#store.write(this.#name, null)
    if (this.cause === 'resync-required') return acknowledged.map(([, state]) => ({ ...state, _deleted: true }))
    const rows = acknowledged.map(([id, newDocumentState]) => ({ id, code: 'server_restored', row: { newDocumentState } }))
    const ids = rows.map(({ id }) => id)
    await rejected.setAside(rows, nowMs)
    await rejected.retry(ids)
    await touchWrites(collection, ids)
    return []
  }

  async #acknowledged(documents: readonly (readonly [string, DocState])[], meta: ReplicationMeta) {
    const pending = await meta.unacknowledged(documents.map(([id]) => id))
    return documents.filter(([id]) => !pending.has(id))
  }
}

function nameOf(replicationIdentifier: string): string {
  return `resync|${replicationIdentifier}`
}
