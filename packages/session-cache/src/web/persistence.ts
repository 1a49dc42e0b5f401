/** What the browser said when it was asked not to evict what is stored. */
export type Persistence = 'granted' | 'denied' | 'unsupported'

export async function askForPersistence(): Promise<Persistence> {
  const storage = typeof navigator === 'undefined' ? undefined : navigator.storage
  if (!storage?.persist) return 'unsupported' // WebKitGTK has no navigator.storage
  try {
    return (await storage.persist()) ? 'granted' : 'denied'
  } catch {
    return 'denied'
  }
}
