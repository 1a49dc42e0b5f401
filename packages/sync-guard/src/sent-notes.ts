import type { GuardStore } from './guard-store.ts'
import type { DocState } from './replication-meta.ts'

/** States of one document that were sent and not answered for, oldest first, and the name of that attempt towards the server. */
interface Note {
  readonly nonce: string
  readonly states: readonly DocState[]
}

/** More than one unanswered state of a document is rare, more than this many are forgotten. */
const MOST_STATES = 5

/**
 * Remembers, also over a crash, what was sent and not answered for. A server that took such a push calls its repetition a conflict; with the note
 * the guard knows the "foreign" state as its own, and a newer local edit is not lost to it.
 */
export class SentNotes {
  readonly #store: GuardStore
  readonly #name: string
  readonly #nonce: () => string
  readonly #notes: Map<string, Note>
  readonly #sent = new Set<string>()

  static async load(store: GuardStore, replicationIdentifier: string, nonce: () => string): Promise<SentNotes> {
    const name = `sent|${replicationIdentifier}`
    return new SentNotes(store, name, nonce, new Map(Object.entries((await store.read<Record<string, Note>>(name)) ?? {})))
  }

  private constructor(store: GuardStore, name: string, nonce: () => string, notes: Map<string, Note>) {
    this.#store = store
    this.#name = name
    this.#nonce = nonce
    this.#notes = notes
  }

  /** Documents of which nobody knows whether the server has taken what was sent in this run. */
  get unknown(): number {
    return this.#sent.size
  }

  /** Durably notes what is about to be sent. The answer is the same for every repetition of the same push. */
  async prepare(states: ReadonlyMap<string, DocState>): Promise<void> {
    for (const [id, state] of states) {
      const known = this.#notes.get(id)
      if (known && sameState(known.states.at(-1), state)) continue
      this.#notes.set(id, { nonce: this.#nonce(), states: [...(known?.states ?? []), state].slice(-MOST_STATES) })
    }
    await this.#save()
  }

  key(ids: Iterable<string>): string {
    return [...ids].map((id) => this.#notes.get(id)?.nonce ?? '').join('.')
  }

  markSent(ids: Iterable<string>): void {
    for (const id of ids) this.#sent.add(id)
  }

  /** What this device itself has sent of a document and got no answer for. */
  sentStates(id: string): readonly DocState[] {
    return this.#notes.get(id)?.states ?? []
  }

  /** The server has answered for these documents. Not waited for: a note that survives a crash costs one needless comparison. */
  settle(ids: Iterable<string>): void {
    for (const id of ids) {
      this.#notes.delete(id)
      this.#sent.delete(id)
    }
    void this.#save().catch(() => {})
  }

  #save(): Promise<void> {
    return this.#store.write(this.#name, Object.fromEntries(this.#notes))
  }
}

function sameState(a: DocState | undefined, b: DocState): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
