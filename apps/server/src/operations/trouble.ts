import { ApiError, busy } from '../http/api-error.ts'

/** What PostgreSQL says when it is away, stopping, full, or has let one of two waiting transactions go (SQLSTATE, appendix A). */
const PASSING = /^(08|57P0|53|55P03|40001|40P01)/
const NETWORK = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN'])
const POOL_MESSAGES = ['timeout exceeded when trying to connect', 'Connection terminated', 'Cannot use a pool after calling end']

/** The answer to an error that no handler has sorted: `busy` if trying again may help. */
export function sortTrouble(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  return isPassing(error) ? busy('The database is not answering. Try again shortly.', 2, error) : internal(error)
}

function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return (
    PASSING.test(code) || NETWORK.has(code) || POOL_MESSAGES.some((message) => error.message.startsWith(message)) || isPassing(error.cause)
  )
}

const internal = (cause: unknown) => new ApiError(500, 'internal', 'The server failed. Try again later.', { cause })
