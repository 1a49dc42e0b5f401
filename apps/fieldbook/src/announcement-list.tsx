import { useSyncExternalStore } from 'react'
import { currentAnnouncements, watchAnnouncements } from './announcements.ts'
import { timeText } from './time-text.ts'

/** The newest announcements, newest first; screen readers read each one as it comes. */
export function Announcements({ newest }: { readonly newest: number }) {
  const announcements = useSyncExternalStore(watchAnnouncements, currentAnnouncements)
  return (
    <ol className="announcements" role="log" aria-live="polite" aria-label="Log">
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
