import { useSyncExternalStore } from 'react'
import { currentAnnouncements, watchAnnouncements } from './announcements.ts'
import { timeText } from './time-text.ts'

/** The newest announcements, newest first. */
export function AnnouncementList({ newest }: { readonly newest: number }) {
  const announcements = useSyncExternalStore(watchAnnouncements, currentAnnouncements)
  return (
    <ol className="announcements" aria-label="Log">
      {announcements
        .slice(-newest)
        .reverse()
        .map(({ id, atMs, text }) => (
          <li key={id}>
            <time>{timeText(atMs)}</time> {text}
          </li>
        ))}
    </ol>
  )
}

/** Lets screen readers say each announcement as it comes, also where the list is folded away. */
export function SpokenAnnouncement() {
  const announcements = useSyncExternalStore(watchAnnouncements, currentAnnouncements)
  return (
    <p className="visually-hidden" role="status">
      {announcements.at(-1)?.text}
    </p>
  )
}
