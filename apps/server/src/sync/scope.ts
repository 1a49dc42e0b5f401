import { ApiError } from '../http/api-error.ts'
import type { Caller } from '../tokens/bearer.ts'
import type { Collection } from './collections.ts'

/** A partition of a collection. Clients and checkpoints say `alias` (`mine`); rows are stored under `key` (`user:<id>`). */
export interface Scope {
  readonly alias: string
  readonly key: string
}

/**
 * The scopes that a request names, if the caller may read them.
 *
 * @throws {ApiError} `scope_denied`, whether the scope exists or not
 */
export function readableScopes(collection: Collection, aliases: readonly string[], caller: Caller): readonly Scope[] {
  const wanted = aliases.length === 0 ? ['mine'] : [...new Set(aliases)]
  return wanted.map((alias) => {
    const scope = { alias, key: alias === 'mine' ? `user:${caller.userId}` : alias }
    if (scope.key !== ownScopeKey(collection, caller)) throw new ApiError(403, 'scope_denied', 'This scope is not open to this user.')
    return scope
  })
}

/** @throws {ApiError} `read_only`, `scope_denied` */
export function writableScope(collection: Collection, aliases: readonly string[], caller: Caller): Scope {
  const [scope, another] = readableScopes(collection, aliases, caller)
  if (!collection.write) throw new ApiError(403, 'read_only', `"${collection.name}" is read-only.`)
  if (!scope || another) throw new ApiError(400, 'invalid_request', 'Push to one scope at a time.')
  return scope
}

const ownScopeKey = (collection: Collection, caller: Caller) => (collection.scope === 'mine' ? `user:${caller.userId}` : collection.scope)
