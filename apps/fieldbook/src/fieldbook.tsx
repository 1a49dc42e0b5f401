import { useState } from 'react'
import { ChartScreen } from './chart-screen.tsx'
import { LoginRequiredBanner } from './login-required-banner.tsx'
import { ObservationsScreen } from './observations-screen.tsx'
import { RecordsScreen } from './records-screen.tsx'
import { ScreenLinks } from './screen-links.tsx'
import type { FieldbookUser } from './session.ts'
import { useAuthState, useSyncState, useUserDatabase } from './session.ts'
import { StationPanel } from './station-panel.tsx'
import { StationSource } from './station-source-note.tsx'
import { StatusLight } from './status-light.tsx'
import { statusOf } from './status-text.ts'
import { SCREEN_TITLES, useScreen } from './use-screen.ts'

/** The book of one user: navigation, the station panel with status and link, and the chosen screen. */
export function Fieldbook({ user }: { readonly user: FieldbookUser }) {
  const auth = useAuthState()
  const sync = useSyncState()
  const screen = useScreen()
  const database = useUserDatabase(user.id)
  const [panelOpen, setPanelOpen] = useState(false)
  const status = statusOf(auth, sync)

  return (
    <div className="book">
      <a className="skip-link" href="#page">
        Skip to the page
      </a>
      <header className="book-head">
        <p className="wordmark">
          <img src="/icon.svg" alt="" width="36" height="36" />
          <span>
            Fieldbook
            <small>Palmer Station</small>
          </span>
        </p>
        <button
          type="button"
          className="panel-button"
          aria-expanded={panelOpen}
          aria-controls="station-panel"
          onClick={() => setPanelOpen(!panelOpen)}
        >
          <StatusLight tone={status.tone} />
          {status.label}
          {sync.pending.count > 0 && <span className="count">{sync.pending.count}</span>}
        </button>
        <p className="visually-hidden" role="status">
          {status.label}
        </p>
      </header>
      <ScreenLinks current={screen} onChoose={() => setPanelOpen(false)} />
      <StationPanel user={user} sync={sync} status={status} open={panelOpen} />
      <main id="page" className="page" tabIndex={-1}>
        <LoginRequiredBanner auth={auth} pending={sync.pending.count} />
        <h1>{SCREEN_TITLES[screen]}</h1>
        {!database && <p className="hint">Opening your data…</p>}
        {database && screen === 'observations' && <ObservationsScreen collection={database.observations} />}
        {database && screen === 'records' && <RecordsScreen collection={database.stationRecords} />}
        {database && screen === 'chart' && <ChartScreen collection={database.stationRecords} />}
        <footer>
          <StationSource />
        </footer>
      </main>
    </div>
  )
}
