import { useSyncExternalStore } from 'react'

export const SCREENS = ['observations', 'records', 'chart'] as const
export type Screen = (typeof SCREENS)[number]

export const SCREEN_TITLES: Record<Screen, string> = {
  observations: 'Observations',
  records: 'Station records',
  chart: 'Measurements',
}

/** Which screen the address names; `/` is the observations. */
export function useScreen(): Screen {
  return useSyncExternalStore(watchAddress, () => SCREENS.find((screen) => location.pathname === `/${screen}`) ?? 'observations')
}

export function goTo(screen: Screen): void {
  history.pushState(null, '', `/${screen}`)
  dispatchEvent(new PopStateEvent('popstate'))
  scrollTo(0, 0)
}

function watchAddress(changed: () => void): () => void {
  addEventListener('popstate', changed)
  return () => removeEventListener('popstate', changed)
}
