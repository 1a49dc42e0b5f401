import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { sql } from 'kysely'
import { z } from 'zod'
import { migrateToLatest } from '../database/migrate.ts'
import type { Database, JsonObject, Schema } from '../database/schema.ts'
import { renewIncarnation } from '../database/server-identity.ts'
import { audit } from './audit.ts'

/** Parents before children. Every table is here: a test compares this list with the database. */
export const exportedTables = [
  'server',
  'server_keys',
  'signing_keys',
  'users',
  'identities',
  'passwords',
  'devices',
  'sessions',
  'api_keys',
  'unlock_keys',
  'mail_tokens',
  'attempts',
  'idempotency_keys',
  'scope_members',
  'seeds',
  'sync_heads',
  'sync_docs',
  'audit_log',
] as const satisfies readonly (keyof Schema)[]

type Table = (typeof exportedTables)[number]

/** Told after every batch. */
export type Progress = (done: { readonly table: Table; readonly rows: number; readonly of: number }) => void

const FORMAT = 1
const BATCH = 500

const headerShape = z.object({ nightlatchExport: z.literal(FORMAT), counts: z.record(z.string(), z.int()) })
const lineShape = z.object({ table: z.enum(exportedTables), row: z.record(z.string(), z.unknown()) })

export class ImportRefused extends Error {
  override readonly name = 'ImportRefused'
}

/**
 * Writes everything, as one moment saw it, to a file of one JSON line per row. The key file is not in it: it moves separately.
 * The file holds password hashes and everybody's documents.
 */
export async function exportTo(path: string, db: Database, progress: Progress = () => {}): Promise<void> {
  const file = createWriteStream(path, { mode: 0o600, flags: 'wx' })
  const write = async (line: object) => {
    if (!file.write(`${JSON.stringify(line)}\n`)) await once(file, 'drain')
  }
  await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (tx) => {
      const counts = await countRows(tx)
      await write({ nightlatchExport: FORMAT, counts })
      for (const table of exportedTables) {
        await sql`declare export_rows cursor for select to_jsonb(t) as row from ${sql.table(table)} t`.execute(tx)
        for (let rows = 0; ; ) {
          const batch = await sql<{ row: JsonObject }>`fetch ${sql.lit(BATCH)} from export_rows`.execute(tx)
          for (const { row } of batch.rows) await write({ table, row })
          rows += batch.rows.length
          progress({ table, rows, of: counts[table] ?? 0 })
          if (batch.rows.length < BATCH) break
        }
        await sql`close export_rows`.execute(tx)
      }
    })
  file.end()
  await once(file, 'close')
}

/**
 * Fills an empty database from an export, in one transaction. The server's incarnation is renewed: what was written after the export is
 * missing here, so clients pull anew and push what they still have.
 *
 * @throws {ImportRefused} when the database is not empty, or the file is cut or not an export
 */
export async function importFrom(path: string, db: Database, nowMs: number, progress: Progress = () => {}): Promise<void> {
  await migrateToLatest(db)
  await db.transaction().execute(async (tx) => {
    const present = await countRows(tx)
    if (Object.values(present).some((count) => count > 0)) throw new ImportRefused('The database is not empty. Import into a new one.')

    const lines = createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY })
    let expected: Readonly<Record<string, number>> | undefined
    const loaded: Partial<Record<Table, number>> = {}
    let batch: { readonly table: Table; readonly rows: JsonObject[] } | undefined
    const flush = async () => {
      if (!batch) return
      await insertRows(tx, batch.table, batch.rows)
      const rows = (loaded[batch.table] ?? 0) + batch.rows.length
      loaded[batch.table] = rows
      progress({ table: batch.table, rows, of: expected?.[batch.table] ?? rows })
      batch = undefined
    }
    for await (const line of lines) {
      if (!expected) {
        expected = read(line, headerShape).counts
        continue
      }
      const { table, row } = read(line, lineShape)
      if (batch?.table !== table || batch.rows.length >= BATCH) await flush()
      batch ??= { table, rows: [] }
      batch.rows.push(row)
    }
    await flush()
    const cut = exportedTables.find((table) => (expected?.[table] ?? -1) !== (loaded[table] ?? 0))
    if (cut) throw new ImportRefused(`${path} is cut: it holds ${loaded[cut] ?? 0} of ${expected?.[cut] ?? 'unknown'} rows of ${cut}.`)
    await renewIncarnation(tx)
    await audit(tx, nowMs, { event: 'imported' })
  })
}

async function insertRows(db: Database, table: Table, rows: readonly JsonObject[]): Promise<void> {
  const name = sql.table(table)
  await sql`insert into ${name} select * from jsonb_populate_recordset(null::${name}, ${JSON.stringify(rows)}::jsonb)`.execute(db)
}

async function countRows(db: Database): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {}
  for (const table of exportedTables) {
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from ${sql.table(table)}`.execute(db)
    counts[table] = rows[0]?.n ?? 0
  }
  return counts
}

function read<T>(line: string, shape: z.ZodType<T>): T {
  try {
    return shape.parse(JSON.parse(line))
  } catch {
    throw new ImportRefused('The file is not a Nightlatch export, or it is cut.')
  }
}
