import type { World } from '@nightlatch/auth-core/world'
import type { RxDatabase } from 'rxdb/plugins/core'
import type { Eraser } from './eraser.ts'
import type { GuardStore } from './guard-store.ts'
import { OldStores } from './old-stores.ts'
import { fenceOff } from './replication.ts'
import type { AnyCollection } from './replication-meta.ts'
import type { TellEvent } from './sync-events.ts'
import type { Tabs } from './tabs.ts'
import { type AppUpdate, type OpenDatabaseOptions, openUserDatabase, storedVersions } from './user-database.ts'

/** How long another tab that opens the same database is waited for. */
const OPENING_MS = 10_000

export interface DatabaseParts {
  readonly world: World
  readonly tabs: Tabs
  /** How long another tab may take to halt. */
  readonly tabDeadlineMs: number
  readonly eraser: Eraser | undefined
  readonly storeOf: (database: RxDatabase) => Promise<GuardStore>
  readonly tell: TellEvent
  /** Told when older tabs are asked to stop, and when they have. */
  readonly waitsForOlderTabs: (waits: boolean) => void
}

/** A user's database in this tab, from the moment it begins to open. */
export class OpenedDatabase {
  readonly name: string
  readonly opening: Promise<RxDatabase>
  /** Known once it is open. */
  readonly collections = new Set<AnyCollection>()
  readonly #parts: DatabaseParts
  #oldStores: OldStores | undefined

  constructor(name: string, options: OpenDatabaseOptions, parts: DatabaseParts) {
    this.name = name
    this.#parts = parts
    this.opening = this.#open(options)
  }

  /** Takes over what older versions of the app have written into their stores meanwhile. */
  async carryOver(): Promise<void> {
    const { world, tell } = this.#parts
    const carriedOver = (await this.#oldStores?.carryOver(world.clock.nowMs())) ?? []
    for (const carried of carriedOver) tell({ type: 'carried-over', ...carried })
  }

  async isOlderThan(versions: Readonly<Record<string, number>>): Promise<boolean> {
    await this.opening.catch(() => {})
    // RxDB itself may have closed them already.
    return [...this.collections].some(({ name, schema }) => schema.version < (versions[name] ?? 0))
  }

  /** Whether another tab has opened a newer version. */
  async isOutgrown(): Promise<boolean> {
    const database = await this.opening.catch(() => undefined)
    return database !== undefined && this.isOlderThan(await storedVersions(database))
  }

  async close({ remove }: { readonly remove: boolean }): Promise<void> {
    const database = await this.opening.catch(() => undefined)
    if (!database || database.closed) return
    if (remove) await database.remove()
    else await database.close()
    if (remove) await this.#parts.eraser?.(database.name).catch(() => {})
    this.#parts.tell({ type: 'database', state: 'closed' })
  }

  /** One tab after the other, so that none with an old version of the app slips in between the question and the migration. */
  async #open(options: OpenDatabaseOptions): Promise<RxDatabase> {
    const database = await this.#inTurn(() => openUserDatabase(this.name, options, this.#appUpdate))
    for (const collection of Object.values(database.collections)) this.collections.add(collection as AnyCollection)
    this.#parts.tell({ type: 'database', state: 'opened' })
    return database
  }

  /** Not waiting for ever: a tab may freeze while it opens, and RxDB orders the migrations themselves. */
  async #inTurn<T>(open: () => Promise<T>): Promise<T> {
    const { timers, locks } = this.#parts.world
    const impatience = new AbortController()
    let begun = false
    const stopTimer = timers.start(OPENING_MS, () => impatience.abort(), { background: true })
    const begin = () => {
      begun = true
      stopTimer()
      return open()
    }
    try {
      return await locks.hold(`nightlatch-open:${this.name}`, begin, { signal: impatience.signal })
    } catch (error) {
      if (begun || !impatience.signal.aborted) throw error
      return await open()
    }
  }

  get #appUpdate(): AppUpdate {
    const { world, tabs, tabDeadlineMs, storeOf, tell, waitsForOlderTabs } = this.#parts
    return {
      nowMs: () => world.clock.nowMs(),
      oldStores: async (database) => OldStores.load(database, await storeOf(database)),
      carryOver: (oldStores) => {
        this.#oldStores = oldStores
        return this.carryOver()
      },
      stopOlderTabs: async (versions, database) => {
        waitsForOlderTabs(true)
        tell({ type: 'app-update', state: 'waiting' })
        const silentTabs = await tabs.ask({ kind: 'update', databaseName: this.name, versions }, tabDeadlineMs)
        await fenceOff(await storeOf(database)) // for one that is frozen and wakes later
        waitsForOlderTabs(false)
        tell({ type: 'app-update', state: 'taken-over', silentTabs })
      },
    }
  }
}
