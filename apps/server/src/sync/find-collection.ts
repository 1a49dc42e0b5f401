import { ApiError } from '../http/api-error.ts'
import type { Collection, Collections } from './collections.ts'

/** @throws {ApiError} `unknown_collection` (404), `schema_outdated` (426) */
export function findCollection(collections: Collections, name: string | undefined, schemaVersion: string | undefined): Collection {
  const collection = collections.get(name ?? '')
  if (!collection) throw new ApiError(404, 'unknown_collection', 'There is no such collection.')
  if (schemaVersion !== String(collection.schemaVersion)) {
    throw new ApiError(426, 'schema_outdated', `"${collection.name}" has schema version ${collection.schemaVersion} here. Update the app.`)
  }
  return collection
}
