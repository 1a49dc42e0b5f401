import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { SpokenAnnouncement } from './announcement-list.tsx'
import { App } from './app.tsx'
import { FieldbookProvider, openFieldbook } from './session.ts'
import './styles/tokens.css'
import './styles/base.css'
import './styles/controls.css'
import './styles/layout.css'
import './styles/screens.css'

const container = document.getElementById('root')
if (!container) throw new Error('index.html has no element #root.')

const fieldbook = await openFieldbook()
createRoot(container).render(
  <StrictMode>
    <FieldbookProvider value={fieldbook}>
      <App />
      <SpokenAnnouncement />
    </FieldbookProvider>
  </StrictMode>,
)
