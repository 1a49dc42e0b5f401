import { expect, test } from 'vitest'
import { httpReplication } from './http/index.ts'
import { sortCouchdbFailure } from './rxdb/couchdb.ts'
import { sortGraphqlFailure } from './rxdb/graphql.ts'
import { sortSupabaseFailure } from './rxdb/supabase.ts'
import { type Direction, HttpFailure, retryAfterMs, type SyncFailure, sortHttpAnswer, sortHttpFailure } from './sync-failure.ts'

const later = (why: 'unreachable' | 'busy' | 'throttled') => ({ kind: 'later', why }) as const

const answers: [status: number, code: string | undefined, direction: Direction, expected: SyncFailure][] = [
  [401, 'token_expired', 'pull', { kind: 'token-rejected' }],
  [401, undefined, 'push', { kind: 'token-rejected' }],
  [403, 'scope_denied', 'push', { kind: 'forbidden', code: 'scope_denied' }],
  [403, undefined, 'pull', { kind: 'forbidden' }],
  [400, 'invalid_row', 'push', { kind: 'refused', code: 'invalid_row' }],
  [404, undefined, 'push', { kind: 'refused', code: 'http_404' }],
  [409, undefined, 'push', { kind: 'refused', code: 'http_409' }],
  [413, 'body_too_large', 'push', { kind: 'refused', code: 'body_too_large' }],
  [422, undefined, 'push', { kind: 'refused', code: 'http_422' }],
  [404, 'unknown_collection', 'push', { kind: 'bug' }],
  [400, undefined, 'pull', { kind: 'bug' }],
  [404, undefined, 'pull', { kind: 'bug' }],
  [408, undefined, 'pull', later('busy')],
  [425, undefined, 'push', later('busy')],
  [429, undefined, 'push', later('throttled')],
  [500, undefined, 'pull', later('busy')],
  [502, undefined, 'push', later('busy')],
  [503, 'busy', 'push', later('busy')],
  [302, undefined, 'pull', later('busy')],
  [426, 'schema_outdated', 'pull', { kind: 'outdated-client' }],
  [410, 'resync_required', 'pull', { kind: 'resync', why: 'resync-required' }],
  [410, 'server_restored', 'pull', { kind: 'resync', why: 'server-restored' }],
]
test.each(answers)('G5: HTTP %i %s on a %s', (status, code, direction, expected) => {
  expect(sortHttpAnswer({ status, ...(code && { code }) }, direction)).toEqual(expected)
})

const thrown: [what: string, error: unknown, expected: SyncFailure][] = [
  ['ky', { name: 'HTTPError', response: new Response(null, { status: 401 }) }, { kind: 'token-rejected' }],
  [
    'axios',
    { isAxiosError: true, response: { status: 503, headers: { 'retry-after': '3' } } },
    { kind: 'later', why: 'busy', retryAfterMs: 3000 },
  ],
  ['axios without an answer', { code: 'ERR_NETWORK', message: 'Network Error' }, later('unreachable')],
  ['a Response itself', new Response(null, { status: 403 }), { kind: 'forbidden' }],
  ['Object.assign(new Error, { status })', Object.assign(new Error('x'), { status: 401 }), { kind: 'token-rejected' }],
  ['undici', new TypeError('fetch failed'), later('unreachable')],
  ['Chromium', new TypeError('Failed to fetch'), later('unreachable')],
  ['Firefox', new TypeError('NetworkError when attempting to fetch resource.'), later('unreachable')],
  ['WebKit', new TypeError('Load failed'), later('unreachable')],
  ['a timeout', new DOMException('x', 'TimeoutError'), later('busy')],
  ['an adapter that got no answer', new HttpFailure('unreachable'), later('unreachable')],
  ["a portal's page", new HttpFailure('unreadable'), later('busy')],
  ['a mistake', new TypeError("Cannot read properties of undefined (reading 'map')"), { kind: 'bug' }],
  ['a string', 'no', { kind: 'bug' }],
  ['undefined', undefined, { kind: 'bug' }],
]
test.each(thrown)('what is thrown by %s', (_, error, expected) => {
  expect(sortHttpFailure(error, 'pull')).toEqual(expected)
})

const couch = (args: unknown) => ({ rxdb: true, code: 'RC_COUCHDB_2', parameters: { args } })
const plugins: [what: string, sorted: SyncFailure | undefined, expected: SyncFailure | undefined][] = [
  ['CouchDB unauthorized', sortCouchdbFailure(couch({ jsonResponse: { error: 'unauthorized' } }), 'pull'), { kind: 'token-rejected' }],
  [
    'CouchDB forbidden',
    sortCouchdbFailure(couch({ jsonResponse: { error: 'forbidden' } }), 'pull'),
    { kind: 'forbidden', code: 'forbidden' },
  ],
  [
    'CouchDB row',
    sortCouchdbFailure(couch({ writeResultRow: { id: 'a', error: 'forbidden' } }), 'push'),
    { kind: 'refused', code: 'forbidden' },
  ],
  ['CouchDB page', sortCouchdbFailure(new SyntaxError('<'), 'pull'), later('busy')],
  ['CouchDB network', sortCouchdbFailure(new TypeError('fetch failed'), 'pull'), undefined],
  [
    'GraphQL unauthenticated',
    sortGraphqlFailure([{ message: 'x', extensions: { code: 'UNAUTHENTICATED' } }], 'pull'),
    { kind: 'token-rejected' },
  ],
  ['Hasura jwt', sortGraphqlFailure([{ message: 'x', extensions: { code: 'invalid-jwt' } }], 'pull'), { kind: 'token-rejected' }],
  ['GraphQL forbidden', sortGraphqlFailure([{ extensions: { code: 'FORBIDDEN' } }], 'pull'), { kind: 'forbidden', code: 'FORBIDDEN' }],
  [
    'GraphQL bad input',
    sortGraphqlFailure([{ extensions: { code: 'BAD_USER_INPUT' } }], 'push'),
    { kind: 'refused', code: 'BAD_USER_INPUT' },
  ],
  ['GraphQL yoga status', sortGraphqlFailure([{ extensions: { http: { status: 401 } } }], 'pull'), { kind: 'token-rejected' }],
  ['GraphQL page', sortGraphqlFailure(new SyntaxError('<'), 'pull'), later('busy')],
  ['GraphQL server', sortGraphqlFailure([{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }], 'push'), later('busy')],
  ['GraphQL anything else', sortGraphqlFailure([{ message: 'x' }], 'push'), undefined],
  ['Supabase expired JWT', sortSupabaseFailure({ code: 'PGRST303', message: 'JWT expired' }, 'pull'), { kind: 'token-rejected' }],
  ['Supabase invalid JWT', sortSupabaseFailure({ code: 'PGRST301', message: 'x' }, 'push'), { kind: 'token-rejected' }],
  ['Supabase row security', sortSupabaseFailure({ code: '42501', message: 'x' }, 'push'), { kind: 'refused', code: '42501' }],
  ['Supabase no permission', sortSupabaseFailure({ code: '42501', message: 'x' }, 'pull'), { kind: 'forbidden', code: '42501' }],
  ['Supabase constraint', sortSupabaseFailure({ code: '23514', message: 'x' }, 'push'), { kind: 'refused', code: '23514' }],
  ['Supabase no database', sortSupabaseFailure({ code: 'PGRST000', message: 'x' }, 'pull'), later('busy')],
  ['Supabase no answer', sortSupabaseFailure({ code: '', message: 'TypeError: fetch failed' }, 'pull'), later('unreachable')],
]
test.each(plugins)('a plugin hands on: %s', (_, sorted, expected) => {
  expect(sorted).toEqual(expected)
})

test('Retry-After in seconds and as a date', () => {
  expect(retryAfterMs('3', 0)).toBe(3000)
  expect(retryAfterMs(new Date(5000).toUTCString(), 2000)).toBe(3000)
  expect(retryAfterMs('soon', 0)).toBeUndefined()
})

const refusals: [what: string, scopes: readonly string[] | undefined, expected: SyncFailure][] = [
  ['a team that is closed', ['team:a'], { kind: 'scope-revoked', scopes: ['team:a'] }],
  ['several that are closed', ['team:a', 'public'], { kind: 'scope-revoked', scopes: ['team:a', 'public'] }],
  ["the user's own scope: a mistake of the server's, no reason to remove anything", ['mine'], { kind: 'forbidden', code: 'scope_denied' }],
  ['its own scope among others', ['team:a', 'mine'], { kind: 'forbidden', code: 'scope_denied' }],
  ['nothing in particular', undefined, { kind: 'forbidden', code: 'scope_denied' }],
]
test.each(refusals)('scope_denied that names %s', (_, scopes, expected) => {
  const { sortFailure } = httpReplication({ server: 'http://127.0.0.1:1', collection: 'tasks', read: ['mine', 'team:a', 'public'] })
  for (const direction of ['pull', 'push'] as const) {
    expect(sortFailure(new HttpFailure({ status: 403, code: 'scope_denied', ...(scopes && { scopes }) }), direction)).toEqual(expected)
  }
})
