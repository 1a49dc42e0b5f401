import { sql } from 'kysely'
import type { Tx } from '../database/schema.ts'
import type { Scope } from './scope.ts'

/** Separates scope keys in a setting; no key holds one. */
const SEPARATOR = '\n'

/**
 * From here to the end of the transaction the database itself shows and takes rows of these scopes only (row-level security, migration 0002):
 * a query that forgets its filter finds nothing of anybody else. Tables of accounts and sessions are out of reach.
 */
export async function enterFence(tx: Tx, scopes: readonly Scope[]): Promise<void> {
  const read = scopes.map(({ key }) => key).join(SEPARATOR)
  const write = scopes.flatMap(({ key, writable }) => (writable ? [key] : [])).join(SEPARATOR)
  await sql`
    select set_config('nightlatch.read_scopes', ${read}, true), set_config('nightlatch.write_scopes', ${write}, true),
      set_config('role', 'nightlatch_sync', true)
  `.execute(tx)
}
