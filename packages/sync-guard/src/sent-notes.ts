import type { GuardStore } from './guard-store.ts'
import { migrateState } from './migrate-state.ts'
import type { AnyCollection, DocState } from './replication-meta.ts'

/** States of one document that were sent and not answered for, oldest first, and the name of that attempt towards the server. */
interface Note {
  readonly nonce: string
  readonly states: readonly SentState[]
}

interface SentState {
  /** The schema version it is of. */
  readonly version: number
  readonly state: DocState
}

/** More than one unanswered state of a document is rare, more than this many are forgotten. */
const MOST_STATES = 5

/**
 * Remembers, also over a crash, what was sent and not answered for. A server that took such a push calls its repetition a conflict; with the note
 * the guard knows the "foreign" state as its own, and a newer local edit is not lost to it.
 */
export class SentNotes {
  readonly #store: GuardStore
  readonly #version: number
  readonly #name: string
  readonly #nonce: () => string
  readonly #notes = new Map<string, Note>()
  /** What was sent before an update of the app, in the shape of today. Computed anew at every start, so that a crash leaves nothing half done. */
  readonly #migrated = new Map<string, readonly DocState[]>()
  readonly #sent = new Set<string>()

  static async load(store: GuardStore, collection: AnyCollection, replicationIdentifier: string, nonce: () => string): Promise<SentNotes> {
    const name = `sent|${replicationIdentifier}`
    const notes = new SentNotes(store, collection.schema.version, name, nonce)
    for (const [id, note] of (await store.read<readonly (readonly [string, Note])[]>(name)) ?? []) {
      notes.#notes.set(id, note)
      notes.#migrated.set(id, await inShapeOfToday(note.states, collection))
    }
    return notes
  }

  private constructor(store: GuardStore, version: number, name: string, nonce: () => string) {
    this.#store = store
    this.#version = version
    this.#name = name
    this.#nonce = nonce
  }

  /** Documents of which nobody knows whether the server has taken what was sent in this run. */
  get unknown(): number {
    return this.#sent.size
  }

  /** Durably notes what is about to be sent. The answer is the same for every repetition of the same push. */
  async prepare(states: ReadonlyMap<string, DocState>): Promise<void> {
    for (const [id, state] of states) {
      const known = this.#notes.get(id)
      const sent = { version: this.#version, state }
      if (known && sameState(known.states.at(-1), sent)) continue
      this.#notes.set(id, { nonce: this.#nonce(), states: [...(known?.states ?? []), sent].slice(-MOST_STATES) })
    }
    await this.#save()
  }

  key(ids: Iterable<string>): string {
    return [...ids].map((id) => this.#notes.get(id)?.nonce ?? '').join('.')
  }

  markSent(ids: Iterable<string>): void {
    for (const id of ids) this.#sent.add(id)
  }

  /** What this device itself has sent of a document and got no answer for, in the shape of today. */
  sentStates(id: string): readonly DocState[] {
    const states = this.#notes.get(id)?.states
    if (!states) return []
    const fresh = states.filter(({ version }) => version === this.#version).map(({ state }) => state)
    return [...(this.#migrated.get(id) ?? []), ...fresh]
  }

  /** What of it was sent before an update of the app, as it was then: a server that was not updated has it so. */
  outgrownStates(id: string): readonly DocState[] {
    const states = this.#notes.get(id)?.states ?? []
    return states.filter(({ version }) => version !== this.#version).map(({ state }) => state)
  }

  /** The server has answered for these documents. Not waited for: a note that survives a crash costs one needless comparison. */
  settle(ids: Iterable<string>): void {
    for (const id of ids) {
      this.#notes.delete(id)
      this.#migrated.delete(id)
      this.#sent.delete(id)
    }
    void this.#save().catch(() => {})
  }

  #save(): Promise<void> {
    return this.#store.write(this.#name, [...this.#notes])
  }
}

async function inShapeOfToday(states: readonly SentState[], collection: AnyCollection): Promise<DocState[]> {
  const old = states.filter(({ version }) => version < collection.schema.version)
  // A strategy that fails or drops the state leaves it as it was sent.
  const migrated = await Promise.all(old.map(({ state, version }) => migrateState(state, version, collection).catch(() => null)))
  return migrated.filter((state) => state !== null)
}

function sameState(a: SentState | undefined, b: SentState): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
