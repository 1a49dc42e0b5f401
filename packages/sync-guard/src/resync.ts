import { touchWrites } from './discard-writes.ts'
import type { GuardStore } from './guard-store.ts'
import { purgeDocuments } from './purge-documents.ts'
import type { RejectedWrites } from './rejected-writes.ts'
import { type AnyCollection, type DocState, type ReplicationMeta, scanDocuments } from './replication-meta.ts'

export type ResyncCause = 'resync-required' | 'server-restored' | 'scope-revoked'

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
   * Everything has been pulled. What the server no longer has is removed here too, but for what is pending. After a restore nothing is removed;
   * documents that the server has lost become pending again.
   *
   * @param meta `undefined` for a replication without push
   */
  async finish(collection: AnyCollection, meta: ReplicationMeta | undefined, rejected: RejectedWrites, nowMs: number): Promise<void> {
    const unseen = (await scanDocuments(collection)).filter(([id, state]) => !this.#seen.has(id) && !state._deleted)
    if (this.cause !== 'server-restored') {
      await purgeDocuments(
        collection,
        meta,
        unseen.map(([id]) => id),
      )
    } else if (meta) {
      await sendAgain(unseen, { collection, meta, rejected, nowMs })
    }
    await this.#store.write(this.#name, null)
  }
}

async function sendAgain(
  documents: readonly (readonly [id: string, state: DocState])[],
  { collection, meta, rejected, nowMs }: { collection: AnyCollection; meta: ReplicationMeta; rejected: RejectedWrites; nowMs: number },
): Promise<void> {
  const pending = await meta.unacknowledged(documents.map(([id]) => id))
  const lost = documents.filter(([id]) => !pending.has(id))
  const ids = lost.map(([id]) => id)
  await rejected.setAside(
    lost.map(([id, newDocumentState]) => ({ id, code: 'server_restored', row: { newDocumentState } })),
    nowMs,
  )
  await rejected.retry(ids)
  await touchWrites(collection, ids)
}

function nameOf(replicationIdentifier: string): string {
  return `resync|${replicationIdentifier}`
}
