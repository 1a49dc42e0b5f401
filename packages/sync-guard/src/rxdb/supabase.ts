import type { SortFailure } from '../sync-failure.ts'
import { read } from './read.ts'

/**
 * Knows the errors of PostgREST, which `replicateSupabase` throws as they are: `{ code, message, details, hint }`, the code being PostgREST's own
 * (`PGRST…`), an SQLSTATE of PostgreSQL, or empty when there was no answer.
 */
export const sortSupabaseFailure: SortFailure = (error, direction) => {
  const code = read(error, 'code')
  if (typeof code !== 'string') return undefined
  if (code === '') return { kind: 'later', why: 'unreachable' }
  if (TOKEN.has(code)) return { kind: 'token-rejected' }
  if (/^PGRST00\d$/.test(code) || /^(08|53|57|58|XX)/.test(code)) return { kind: 'later', why: 'busy' }
  if (code === '42501') return direction === 'push' ? { kind: 'refused', code } : { kind: 'forbidden', code } // row-level security
  if (direction === 'push' && /^(22|23|P0)/.test(code)) return { kind: 'refused', code } // data, constraints, RAISE in a trigger
  return undefined
}

/** JWT expired, invalid or missing. */
const TOKEN: ReadonlySet<string> = new Set(['PGRST300', 'PGRST301', 'PGRST302', 'PGRST303'])
