import { useEffect, useState } from 'react'
import type { LinkMode } from '../serve/link-mode.ts'
import { announce } from './announcements.ts'
import type { LinkView } from './link-client.ts'
import { readLink, switchLink } from './link-client.ts'

const LOOK_AGAIN_MS = 5_000

/** The link as it is now (looked up every few seconds while the tab is visible, since other tabs and tests switch it too). */
export function useLink(): { readonly link: LinkView | undefined; readonly setLink: (mode: LinkMode) => void } {
  const [link, setLink] = useState<LinkView>()

  useEffect(() => {
    const look = () => {
      if (document.visibilityState === 'visible') void readLink().then(setLink)
    }
    look()
    const timer = setInterval(look, LOOK_AGAIN_MS)
    document.addEventListener('visibilitychange', look)
    return () => {
      clearInterval(timer)
      document.removeEventListener('visibilitychange', look)
    }
  }, [])

  return {
    link,
    setLink: (mode) => {
      setLink(mode)
      announce(LINK_SWITCHED[mode])
      void switchLink(mode).then(setLink)
    },
  }
}

const LINK_SWITCHED: Record<LinkMode, string> = {
  up: 'The satellite link is up.',
  slow: 'The satellite link is slow.',
  down: 'The satellite link is down.',
  portal: 'A captive portal answers instead of the server.',
}
