import type { Database, Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import type { ServerKeys } from '../tokens/server-keys.ts'

/** How many failures are free, and how long one waits after those beyond. */
export interface AttemptPolicy {
  readonly free: number
  readonly firstDelayMs: number
  readonly longestDelayMs: number
  /** Failures are forgotten this long after the last one. */
  readonly forgetAfterMs: number
}

/** At this many failures in a row guessing is over: a day between tries, until a reset or a right secret from a known device (PW-2). */
const MOST_IN_A_ROW = 100
const DAY_MS = 86_400_000

export interface Attempt {
  readonly blockedForMs: number
}

/**
 * Counts tries before they are made, so that many at once get no more than one after the other. What is counted need not exist:
 * an address nobody has registered is throttled like any other (PW-5).
 */
export class Attempts {
  readonly #db: Database
  readonly #keys: ServerKeys
  readonly #nowMs: () => number

  constructor(db: Database, keys: ServerKeys, nowMs: () => number) {
    this.#db = db
    this.#keys = keys
    this.#nowMs = nowMs
  }

  /** Counts a failure in advance for each of `what`; `forgive` takes it back. A blocked one is not counted again. */
  async begin(what: readonly { readonly name: string; readonly policy: AttemptPolicy }[]): Promise<Attempt> {
    const counted = what.map(({ name, policy }) => ({ key: this.#key(name), policy })).sort((a, b) => (a.key < b.key ? -1 : 1))
    return this.#db.transaction().execute(async (tx) => {
      const now = this.#nowMs()
      const rows = []
      for (const { key, policy } of counted) rows.push({ key, policy, row: await lockRow(tx, key) })
      const blockedForMs = Math.max(0, ...rows.map(({ row }) => row.blocked_until_ms - now))
      if (blockedForMs > 0) return { blockedForMs }
      for (const { key, policy, row } of rows) {
        const failures = (now - row.last_at_ms > policy.forgetAfterMs ? 0 : row.failures) + 1
        const next = { failures, blocked_until_ms: now + delayMs(failures, policy), last_at_ms: now }
        await tx.updateTable('attempts').set(next).where('key', '=', key).execute()
      }
      return { blockedForMs: 0 }
    })
  }

  async forgive(
    db: Database | Tx,
    { reset, undo }: { readonly reset: readonly string[]; readonly undo?: readonly string[] },
  ): Promise<void> {
    await db
      .deleteFrom('attempts')
      .where(
        'key',
        'in',
        reset.map((name) => this.#key(name)),
      )
      .execute()
    for (const name of undo ?? []) {
      await db
        .updateTable('attempts')
        .set(({ eb }) => ({ failures: eb('failures', '-', 1), blocked_until_ms: 0 }))
        .where('key', '=', this.#key(name))
        .where('failures', '>', 0)
        .execute()
    }
  }

  #key(name: string): string {
    return this.#keys.current.mac(`attempts ${name}`)
  }
}

export function delayMs(failures: number, { free, firstDelayMs, longestDelayMs }: AttemptPolicy): number {
  if (failures >= MOST_IN_A_ROW && longestDelayMs >= 3_600_000) return DAY_MS
  if (failures <= free) return 0
  return Math.min(firstDelayMs * 2 ** Math.min(failures - free - 1, 30), longestDelayMs)
}

export function throttled(waitMs: number): ApiError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000))
  return new ApiError(429, 'throttled', `Too many failed attempts. Try again in ${seconds} s.`, {
    headers: { 'Retry-After': String(seconds) },
  })
}

async function lockRow(tx: Tx, key: string) {
  await tx
    .insertInto('attempts')
    .values({ key, failures: 0, blocked_until_ms: 0, last_at_ms: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  return tx.selectFrom('attempts').selectAll().where('key', '=', key).forUpdate().executeTakeFirstOrThrow()
}
