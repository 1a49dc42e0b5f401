import type { WatchActivity } from '../open-user-watch.ts'

const signs = ['keydown', 'pointerdown', 'pointermove', 'wheel', 'touchstart'] as const

/** Only what a person did: RxDB sends a synthetic `mousemove` every 20 s to keep the tab awake. Without a page nobody is ever there. */
export const watchPageActivity: WatchActivity = (active) => {
  if (typeof document === 'undefined') return () => {}
  const listener = (event: Event) => {
    if (event.isTrusted) active()
  }
  for (const sign of signs) document.addEventListener(sign, listener, { capture: true, passive: true })
  return () => {
    for (const sign of signs) document.removeEventListener(sign, listener, { capture: true })
  }
}
