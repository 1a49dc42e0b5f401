import type { SortFailure, SyncFailure } from '../sync-failure.ts'
import { read } from './read.ts'

/** Knows the `errors` of GraphQL answers, which `replicateGraphQL` throws as they are: an array of `{ message, extensions: { code } }`. */
export const sortGraphqlFailure: SortFailure = (error, direction) => {
  if (error instanceof SyntaxError) return { kind: 'later', why: 'busy' } // a page where JSON was expected
  const errors: unknown[] = Array.isArray(error) ? error : [error]
  for (const one of errors) {
    const failure = sortCode(read(one, 'extensions', 'code'), direction === 'push') ?? sortStatus(read(one, 'extensions', 'http', 'status'))
    if (failure) return failure
  }
  return undefined
}

/** The codes of Apollo, Hasura, AppSync-like servers and graphql-yoga. */
function sortCode(code: unknown, push: boolean): SyncFailure | undefined {
  switch (code) {
    case 'UNAUTHENTICATED':
    case 'UNAUTHORIZED':
    case 'invalid-jwt':
    case 'invalid-headers':
      return { kind: 'token-rejected' }
    case 'FORBIDDEN':
    case 'access-denied':
    case 'permission-error':
      return { kind: 'forbidden', code: String(code) }
    case 'BAD_USER_INPUT':
    case 'constraint-violation':
    case 'data-exception':
    case 'validation-failed':
      return push ? { kind: 'refused', code: String(code) } : undefined
    case 'INTERNAL_SERVER_ERROR':
    case 'SERVICE_UNAVAILABLE':
    case 'unexpected':
      return { kind: 'later', why: 'busy' }
    case 'RATE_LIMITED':
    case 'THROTTLED':
      return { kind: 'later', why: 'throttled' }
    default:
      return undefined
  }
}

function sortStatus(status: unknown): SyncFailure | undefined {
  if (status === 401) return { kind: 'token-rejected' }
  if (status === 403) return { kind: 'forbidden' }
  return typeof status === 'number' && status >= 500 ? { kind: 'later', why: 'busy' } : undefined
}
