/** Closes and deletes every IndexedDB database of this origin: the next test starts on a new device. */
export async function deleteEverything(): Promise<void> {
  for (const { name } of await indexedDB.databases()) if (name) await deleteDatabase(name)
}

export function deleteDatabase(name: string): Promise<void> {
  return settled(indexedDB.deleteDatabase(name)).then(() => {})
}

export async function databaseNames(): Promise<readonly string[]> {
  return (await indexedDB.databases()).flatMap(({ name }) => (name ? [name] : []))
}

export function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
