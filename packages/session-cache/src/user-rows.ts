import { RevisionConflict, type UserKey } from '@nightlatch/auth-core'
import type { RowStore } from './row-store.ts'
import { parseUserRow, storedUserRow, type UserRow } from './user-row.ts'

/** Lost races in a row after which a change gives up. */
const MAX_LOST_RACES = 20

/** Changes to stored users that are not auth-core's: slots, counters, clock marks. */
export class UserRows {
  readonly #rows: RowStore
  readonly #changed: (key: UserKey) => void

  constructor(rows: RowStore, changed: (key: UserKey) => void) {
    this.#rows = rows
    this.#changed = changed
  }

  async read(key: UserKey): Promise<UserRow | null> {
    const stored = await this.#rows.read(key)
    return stored && parseUserRow(key, stored.content)
  }

  async find(matches: (row: UserRow) => boolean): Promise<{ readonly key: UserKey; readonly row: UserRow } | null> {
    for (const stored of await this.#rows.readAll()) {
      const key = stored.key as UserKey
      const row = parseUserRow(key, stored.content)
      if (matches(row)) return { key, row }
    }
    return null
  }

  /** Applies `change` to the newest row until no other writer was faster. `null`: nothing to do, or nobody there. */
  async change(key: UserKey, change: (row: UserRow) => UserRow | null | Promise<UserRow | null>): Promise<UserRow | null> {
    for (let lost = 0; lost < MAX_LOST_RACES; lost += 1) {
      const stored = await this.#rows.read(key)
      const next = stored && (await change(parseUserRow(key, stored.content)))
      if (!stored || !next) return null
      try {
        await this.#rows.write(key, stored, storedUserRow(next))
        this.#changed(key)
        return next
      } catch (error) {
        if (!(error instanceof RevisionConflict)) throw error
      }
    }
    throw new RevisionConflict('Other tabs kept changing the same record. Nothing was written.')
  }
}
