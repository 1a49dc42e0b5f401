import { AnnouncementList } from './announcement-list.tsx'
import { LinkSwitch } from './link-switch.tsx'
import { LogInForm } from './log-in-form.tsx'
import { StationSource } from './station-source-note.tsx'

export function LogInPage() {
  return (
    <main className="log-in-page">
      <section className="log-in-intro">
        <img src="/icon.svg" alt="" width="64" height="64" />
        <h1>Fieldbook</h1>
        <p className="lead">
          Observations from a station with a bad satellite link. Log in once while the link is up; from then on the book opens anywhere, and
          what you write is sent when it can be.
        </p>
        <StationSource />
      </section>
      <div className="log-in-side">
        <section className="card">
          <LogInForm />
        </section>
        <AnnouncementList newest={1} />
        <details className="card quiet-card">
          <summary>Satellite link</summary>
          <LinkSwitch />
        </details>
      </div>
    </main>
  )
}
