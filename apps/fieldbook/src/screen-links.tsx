import type { ReactNode } from 'react'
import type { Screen } from './use-screen.ts'
import { goTo, SCREEN_TITLES, SCREENS } from './use-screen.ts'

const ICONS: Record<Screen, ReactNode> = {
  observations: <path d="M4 20h4L19 9l-4-4L4 16v4zM13 7l4 4" />,
  records: <path d="M5 5h14v14H5zM5 10h14M10 10v9" />,
  chart: <path d="M4 4v16h16M9 14v.01M12 10v.01M15 12v.01M18 7v.01M12 15v.01" />,
}

export function ScreenLinks({ current, onChoose }: { readonly current: Screen; readonly onChoose: () => void }) {
  return (
    <nav className="screen-links" aria-label="Screens">
      {SCREENS.map((screen) => (
        <a
          key={screen}
          href={`/${screen}`}
          aria-current={screen === current ? 'page' : undefined}
          onClick={(event) => {
            if (event.metaKey || event.ctrlKey || event.shiftKey) return
            event.preventDefault()
            goTo(screen)
            onChoose()
          }}
        >
          <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
            {ICONS[screen]}
          </svg>
          {SCREEN_TITLES[screen]}
        </a>
      ))}
    </nav>
  )
}
