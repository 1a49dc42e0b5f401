import { SharedLook } from './single-flight.ts'
import type { Revision } from './user-record.ts'

/**
 * This tab's copies of stored records. Looks and writes may overlap, and which of two answers is newer only storage can tell: an answer is
 * taken over if nothing else was since it was asked for; otherwise storage is asked again.
 */
export class StoredCopies<Key, Stored extends { readonly revision: Revision }> {
  readonly all = new Map<Key, Stored>()
  readonly #read: (key: Key) => Promise<Stored | null>
  readonly #taken: (key: Key, isNew: boolean) => void
  readonly #looks = new SharedLook<Key, Stored | null>()
  /** Answers taken over so far. */
  readonly #turns = new Map<Key, number>()

  constructor(read: (key: Key) => Promise<Stored | null>, taken: (key: Key, isNew: boolean) => void) {
    this.#read = read
    this.#taken = taken
  }

  look(key: Key): Promise<Stored | null> {
    return this.#looks.run(key, async () => {
      for (;;) {
        const turn = this.#turns.get(key)
        const stored = await this.#read(key)
        if (this.#take(key, turn, stored)) return stored
      }
    })
  }

  async lookAtAll(keyOf: (stored: Stored) => Key, list: () => Promise<readonly Stored[]>): Promise<void> {
    const turns = new Map(this.#turns)
    const stored = new Map((await list()).map((record) => [keyOf(record), record]))
    for (const key of new Set([...this.all.keys(), ...stored.keys()])) {
      if (!this.#take(key, turns.get(key), stored.get(key) ?? null)) await this.look(key)
    }
  }

  /** Takes over what `write` says is stored now: after a removal `null`. */
  async write<Result>(key: Key, write: () => Promise<{ readonly stored: Stored | null; readonly result: Result }>): Promise<Result> {
    const turn = this.#turns.get(key)
    const { stored, result } = await write()
    if (!this.#take(key, turn, stored)) await this.look(key)
    return result
  }

  #take(key: Key, turn: number | undefined, stored: Stored | null): boolean {
    if (this.#turns.get(key) !== turn) return false
    this.#turns.set(key, (turn ?? 0) + 1)
    const isNew = this.all.get(key)?.revision !== stored?.revision
    if (stored) this.all.set(key, stored)
    else this.all.delete(key)
    this.#taken(key, isNew)
    return true
  }
}
