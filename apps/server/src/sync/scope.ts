import type { Tx } from '../database/schema.ts'
import { ApiError } from '../http/api-error.ts'
import type { Caller } from '../tokens/bearer.ts'
import { type Collection, type ScopeKind, writesTo } from './collections.ts'

/** A partition of a collection. Clients and checkpoints say `alias` (`mine`); rows are stored under `key` (`user:<id>`). */
export interface Scope {
  readonly alias: string
  readonly key: string
  readonly writable: boolean
}

export const scopeParameter = { name: 'scope', description: '`mine` (default), `public` or `team:<id>`', repeatable: true }

const MAX_SCOPES = 1000
const teamPattern = /^team:[A-Za-z0-9_.-]{1,64}$/

/**
 * The scopes that a request names, if the caller may read them.
 *
 * @throws {ApiError} `scope_denied` with all that are not open in `scopes`, whether they exist or not
 */
export async function readableScopes(
  tx: Tx,
  collection: Collection,
  aliases: readonly string[],
  caller: Caller,
): Promise<readonly Scope[]> {
  const wanted = [...new Set(aliases.length === 0 ? ['mine'] : aliases)]
  if (wanted.length > MAX_SCOPES) throw new ApiError(400, 'invalid_request', `At most ${MAX_SCOPES} scopes at a time.`)
  const roles = await rolesIn(
    tx,
    wanted.filter((alias) => teamPattern.test(alias)),
    caller,
  )

  const scopes = wanted.flatMap((alias): Scope[] => {
    const kind = kindOf(alias, caller)
    const role = kind === 'team:*' ? roles.get(alias) : 'writer'
    if (!kind || !role || !collection.scope.includes(kind)) return []
    const key = kind === 'mine' ? `user:${caller.userId}` : alias
    return [{ alias, key, writable: role === 'writer' && writesTo(collection, kind) }]
  })
  const open = new Set(scopes.map(({ alias }) => alias))
  const denied = wanted.filter((alias) => !open.has(alias))
  if (denied.length > 0) throw scopeDenied(denied)
  return scopes
}

/** Named, so that a client can go on with the others. */
function scopeDenied(scopes: readonly string[]): ApiError {
  return new ApiError(403, 'scope_denied', 'Not all of these scopes are open to this user.', { details: { scopes } })
}

/**
 * The scopes of a push. One that goes to a single read-only scope is refused as a whole; among several, rows are refused one by one.
 *
 * @throws {ApiError} `read_only`, `scope_denied`
 */
export async function pushScopes(tx: Tx, collection: Collection, aliases: readonly string[], caller: Caller): Promise<readonly Scope[]> {
  const scopes = await readableScopes(tx, collection, aliases, caller)
  if (!scopes.some(({ writable }) => writable)) throw new ApiError(403, 'read_only', `"${collection.name}" is read-only for this user.`)
  if (scopes.length > 1 && collection.scopeField === undefined) {
    throw new ApiError(400, 'invalid_request', `Push to one scope at a time: "${collection.name}" has no scope field.`)
  }
  return scopes
}

function kindOf(alias: string, caller: Caller): ScopeKind | undefined {
  if (alias === 'mine' || alias === `user:${caller.userId}`) return 'mine'
  if (alias === 'public') return 'public'
  return teamPattern.test(alias) ? 'team:*' : undefined
}

async function rolesIn(tx: Tx, teams: readonly string[], caller: Caller): Promise<ReadonlyMap<string, 'reader' | 'writer'>> {
  if (teams.length === 0) return new Map()
  const rows = await tx
    .selectFrom('scope_members')
    .select(['scope', 'role'])
    .where('user_id', '=', caller.userId)
    .where('scope', 'in', teams)
    .execute()
  return new Map(rows.map(({ scope, role }) => [scope, role]))
}
