/** What the app tells the person, newest last: shown in the log of the station panel and read aloud by screen readers. */
export interface Announcement {
  readonly id: number
  readonly atMs: number
  readonly text: string
}

const MAX_KEPT = 30

let announcements: readonly Announcement[] = []
let nextId = 1
const listeners = new Set<() => void>()

export function announce(text: string): void {
  announcements = [...announcements, { id: nextId++, atMs: Date.now(), text }].slice(-MAX_KEPT)
  for (const listener of listeners) listener()
}

export function currentAnnouncements(): readonly Announcement[] {
  return announcements
}

export function watchAnnouncements(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
