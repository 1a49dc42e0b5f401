import { sql } from 'kysely'
import type { Database } from '../database/schema.ts'
import type { Log } from '../log.ts'
import type { ChangeBus } from './change-bus.ts'
import type { StreamHub } from './stream-hub.ts'

const SWEEP_MS = 5000

/**
 * Looks every few seconds whether a notification was lost: an instance may die between its commit and its NOTIFY.
 * Only what is listened to here is asked for. Needed where several instances share a database.
 */
export class Sweep {
  readonly #db: Database
  readonly #streams: StreamHub
  readonly #log: Log
  readonly #timer: NodeJS.Timeout
  #known = new Map<string, number>()
  #running: Promise<void> = Promise.resolve()

  constructor(db: Database, bus: ChangeBus, streams: StreamHub, log: Log) {
    this.#db = db
    this.#streams = streams
    this.#log = log
    this.#timer = setInterval(() => void this.now(), SWEEP_MS).unref()
    bus.listen((event) => {
      if (event.kind === 'missed') void this.now()
    })
  }

  /** One sweep; never rejects. Sweeps run one after the other. */
  now(): Promise<void> {
    this.#running = this.#running.then(() => this.#sweep()).catch((error: unknown) => this.#log.error('sweep-failed', error))
    return this.#running
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#running
  }

  async #sweep(): Promise<void> {
    const { topics, sessionIds } = this.#streams
    if (sessionIds.length === 0) return
    const ended = await this.#db
      .selectFrom('sessions')
      .select('id')
      .where('id', '=', sql<string>`any(${[...sessionIds]}::text[])`)
      .where('ended_at_ms', 'is not', null)
      .execute()
    this.#streams.endSessions(ended.map(({ id }) => id))

    const heads = await sql<{ collection: string; scope: string; seq: number }>`
      select collection, scope, seq from sync_heads
      join jsonb_to_recordset(${JSON.stringify(topics)}::jsonb) as wanted(collection text, scope text) using (collection, scope)
    `.execute(this.#db)
    const known = new Map<string, number>()
    for (const { collection, scope, seq } of heads.rows) {
      const key = `${collection} ${scope}`
      known.set(key, seq)
      // A head seen for the first time counts as news: the change may have come after the stream's first hint.
      if (this.#known.get(key) !== seq) this.#streams.notify(collection, scope)
    }
    this.#known = known
  }
}
