import type { RxCollection } from 'rxdb/plugins/core'
import type { AnyCollection, Doc, DocState } from './replication-meta.ts'

/**
 * A state of a document from before an update of the app in the shape of today, by the app's own migration strategies; as RxDB migrates documents.
 *
 * @param version the schema version that the state is of
 * @returns `null`: the strategies drop it
 */
export async function migrateState<State extends Doc>(state: State, version: number, collection: AnyCollection): Promise<State | null> {
  const { _deleted, _meta, ...data } = state
  const { migrationStrategies, schema } = collection as RxCollection
  let migrated: Doc | null = structuredClone<Doc>(data)
  for (let next = version + 1; next <= schema.version && migrated; next += 1) {
    const strategy = migrationStrategies[next]
    if (strategy) migrated = (await strategy({ _attachments: state._attachments, ...migrated }, collection as RxCollection)) as Doc | null
  }
  if (!migrated) return null
  const { _attachments = state._attachments, ...shaped } = migrated
  return { ...shaped, ...(_attachments !== undefined && { _attachments }), ...(_deleted !== undefined && { _deleted }) } as unknown as State
}

/** Whether `old` is `today` as it was under some earlier version of the app: what a server has that was not updated with it. */
export async function isOutgrown(
  old: DocState,
  today: DocState,
  collection: AnyCollection,
  isEqual: (a: DocState, b: DocState) => boolean,
): Promise<boolean> {
  for (let version = collection.schema.version - 1; version >= 0; version -= 1) {
    // Of the wrong version a strategy may make anything, or fail.
    const migrated = await migrateState(old, version, collection).catch(() => null)
    if (migrated && isEqual(migrated, today)) return true
  }
  return false
}
