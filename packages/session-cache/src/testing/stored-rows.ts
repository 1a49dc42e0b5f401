import type { StoreContext, UnlockMethod, UserKey } from '@nightlatch/auth-core'
import type { RxStorage } from 'rxdb/plugins/core'
import { databaseName } from '../database-name.ts'
import type { Envelope } from '../envelope.ts'
import { openRowStore, type Row, type RowStore } from '../row-store.ts'
import type { SignedNumbers } from '../signed-numbers.ts'

type Place = Pick<StoreContext, 'appId' | 'issuer'>

/** What is really stored, as somebody with the disk in hand sees and edits it. */
export async function withStoredRows<T>(
  storage: RxStorage<unknown, unknown>,
  place: Place,
  act: (rows: RowStore) => Promise<T>,
): Promise<T> {
  const rows = await openRowStore(await databaseName(place), storage)
  try {
    return await act(rows)
  } finally {
    await rows.close()
  }
}

export function editStoredRow(
  storage: RxStorage<unknown, unknown>,
  place: Place,
  key: string,
  edit: (content: Record<string, unknown>) => object,
): Promise<void> {
  return withStoredRows(storage, place, async (rows) => {
    const row = await rows.read(key)
    if (!row) throw new Error(`Nothing is stored under ${key}.`)
    await rows.write(key, row, edit(structuredClone(row.content) as Record<string, unknown>))
  })
}

export function storedRows(storage: RxStorage<unknown, unknown>, place: Place): Promise<readonly Row[]> {
  return withStoredRows(storage, place, (rows) => rows.readAll())
}

/** A user's row as it stands on disk. */
export interface StoredUser {
  readonly facts: { readonly generation: number; readonly tags: readonly string[] }
  readonly locks: number
  readonly slots: { readonly [method in UnlockMethod]?: Envelope }
  readonly vault: Envelope
  readonly attempts?: SignedNumbers
  readonly clock?: SignedNumbers
  readonly quarantine?: readonly unknown[]
}

export async function storedUser(storage: RxStorage<unknown, unknown>, place: Place, key: UserKey): Promise<StoredUser> {
  const row = (await storedRows(storage, place)).find((candidate) => candidate.key === key)
  if (!row) throw new Error(`Nothing is stored of ${key}.`)
  return row.content as StoredUser
}

export function editStoredUser(
  storage: RxStorage<unknown, unknown>,
  place: Place,
  key: UserKey,
  edit: (user: StoredUser) => object,
): Promise<void> {
  return editStoredRow(storage, place, key, (content) => edit(content as unknown as StoredUser))
}

/** Overwrites the sealed vault with something that was never sealed. */
export function damageUser(storage: RxStorage<unknown, unknown>, place: Place, key: UserKey): Promise<void> {
  return editStoredRow(storage, place, key, (content) => ({ ...content, vault: 'cut off' }))
}
