import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { z } from 'zod'
import type { Log } from '../log.ts'
import type { BusEvent, ChangeBus } from './change-bus.ts'

const CHANNEL = 'nightlatch'
/** Notifying inside the transaction costs more than half of the throughput, because such commits queue up; after it, in batches, 5 %. */
const BATCH_MS = 5
/** PostgreSQL refuses payloads of 8000 bytes. */
const MAX_PAYLOAD_BYTES = 7000
const RECONNECT_MS = 500

const payloadShape = z.object({
  from: z.string(),
  changed: z.array(z.tuple([z.string(), z.string()])).default([]),
  ended: z.array(z.string()).default([]),
})

/**
 * Tells the other instances by NOTIFY, and this one directly. A notification that gets lost (a crash after the commit, a cut connection) is made
 * up for by the stream hub's sweep.
 */
export class PostgresBus implements ChangeBus {
  readonly #instance = randomUUID()
  readonly #url: string
  readonly #pool: pg.Pool
  readonly #log: Log
  readonly #listeners = new Set<(event: BusEvent) => void>()
  #listening: pg.Client | undefined
  #closed = false
  #batch: { readonly changed: Map<string, [string, string]>; readonly ended: Set<string> } | undefined
  #sending: Promise<unknown> = Promise.resolve()

  private constructor(url: string, pool: pg.Pool, log: Log) {
    this.#url = url
    this.#pool = pool
    this.#log = log
  }

  static async connect(url: string, pool: pg.Pool, log: Log): Promise<PostgresBus> {
    const bus = new PostgresBus(url, pool, log)
    await bus.#listen()
    return bus
  }

  changed(collection: string, scope: string): void {
    this.#tell({ kind: 'changed', collection, scope })
    this.#openBatch().changed.set(`${collection} ${scope}`, [collection, scope])
  }

  sessionsEnded(sessionIds: readonly string[]): void {
    if (sessionIds.length === 0) return
    this.#tell({ kind: 'sessions-ended', sessionIds })
    const { ended } = this.#openBatch()
    for (const id of sessionIds) ended.add(id)
  }

  listen(listener: (event: BusEvent) => void): void {
    this.#listeners.add(listener)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#send()
    await this.#sending
    await this.#listening?.end().catch(() => {})
  }

  #openBatch() {
    if (!this.#batch) {
      this.#batch = { changed: new Map(), ended: new Set() }
      setTimeout(() => this.#send(), BATCH_MS)
    }
    return this.#batch
  }

  #send(): void {
    const batch = this.#batch
    if (!batch) return
    this.#batch = undefined
    const payloads = pack(this.#instance, [...batch.changed.values()], [...batch.ended])
    const notify = () => this.#pool.query('select pg_notify($1, payload) from unnest($2::text[]) as payload', [CHANNEL, payloads])
    this.#sending = notify().catch((error: unknown) => this.#log.error('notify-failed', error))
  }

  async #listen(): Promise<void> {
    const client = new pg.Client({ connectionString: this.#url, application_name: 'nightlatch-listen', connectionTimeoutMillis: 5000 })
    client.on('notification', ({ payload }) => this.#receive(payload))
    client.on('error', (error) => this.#log.error('listen-connection-lost', error))
    client.once('end', () => void this.#reconnect())
    await client.connect()
    await client.query(`listen ${CHANNEL}`)
    this.#listening = client
  }

  async #reconnect(): Promise<void> {
    this.#listening = undefined
    while (!this.#closed && !this.#listening) {
      await delay(RECONNECT_MS)
      await this.#listen().catch(() => {})
    }
    if (!this.#closed) this.#tell({ kind: 'missed' })
  }

  #receive(payload: string | undefined): void {
    const message = payloadShape.safeParse(JSON.parse(payload ?? 'null'))
    if (!message.success || message.data.from === this.#instance) return
    for (const [collection, scope] of message.data.changed) this.#tell({ kind: 'changed', collection, scope })
    if (message.data.ended.length > 0) this.#tell({ kind: 'sessions-ended', sessionIds: message.data.ended })
  }

  #tell(event: BusEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}

/** As few payloads as the size limit allows. */
function pack(from: string, changed: readonly [string, string][], ended: readonly string[]): readonly string[] {
  const whole = JSON.stringify({ from, changed, ended })
  if (Buffer.byteLength(whole) <= MAX_PAYLOAD_BYTES || changed.length + ended.length <= 1) return [whole]
  const [c, e] = [Math.ceil(changed.length / 2), Math.ceil(ended.length / 2)]
  return [...pack(from, changed.slice(0, c), ended.slice(0, e)), ...pack(from, changed.slice(c), ended.slice(e))]
}
