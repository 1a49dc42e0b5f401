import { useState } from 'react'
import type { RxCollection, RxDocument } from 'rxdb'
import type { ObservationDraft } from './observation-draft.ts'
import { ObservationForm } from './observation-form.tsx'
import type { Observation } from './schemas.ts'
import { SpeciesName } from './species-name.tsx'
import { observationsText } from './status-text.ts'
import { dayText, timeText } from './time-text.ts'
import { useDocuments } from './use-documents.ts'

/** The user's own observations, newest first, and the form for a new one. */
export function ObservationsScreen({ collection }: { readonly collection: RxCollection<Observation> }) {
  const observations = useDocuments(collection)
  const add = async (draft: ObservationDraft) => {
    const nowMs = Date.now()
    await collection.insert({ id: crypto.randomUUID(), ...draft, createdAtMs: nowMs, updatedAtMs: nowMs })
  }
  return (
    <div className="observations">
      <section className="card" aria-labelledby="new-observation">
        <h2 id="new-observation">New observation</h2>
        <ObservationForm save={add} saveLabel="Write down" />
      </section>
      <section aria-label="Your observations">{observations && <ObservationList observations={observations} />}</section>
    </div>
  )
}

function ObservationList({ observations }: { readonly observations: readonly RxDocument<Observation>[] }) {
  if (observations.length === 0) return <p className="empty">Nothing written down yet. What you write is kept on this device at once.</p>

  const newestFirst = observations.toSorted((a, b) => b.observedAtMs - a.observedAtMs || b.createdAtMs - a.createdAtMs)
  const days = Map.groupBy(newestFirst, (observation) => dayText(observation.observedAtMs))
  return (
    <>
      <p className="hint tally">{observationsText(observations.length)}</p>
      {[...days].map(([day, ofDay]) => (
        <section key={day} className="day">
          <h2>{day}</h2>
          <ul className="entries">
            {ofDay.map((observation) => (
              <ObservationEntry key={observation.id} observation={observation} />
            ))}
          </ul>
        </section>
      ))}
    </>
  )
}

function ObservationEntry({ observation }: { readonly observation: RxDocument<Observation> }) {
  const [editing, setEditing] = useState(false)
  const { species, island, count, note, observedAtMs } = observation

  if (editing) {
    const change = async (draft: ObservationDraft) => {
      await observation.incrementalPatch({ ...draft, updatedAtMs: Date.now() })
      setEditing(false)
    }
    return (
      <li className="entry card">
        <ObservationForm start={observation} save={change} saveLabel="Save changes" onCancel={() => setEditing(false)} />
      </li>
    )
  }
  return (
    <li className="entry">
      <time dateTime={new Date(observedAtMs).toISOString()}>{timeText(observedAtMs)}</time>
      <div className="entry-what">
        <p>
          <span className="entry-count">{count}</span> <SpeciesName species={species} /> <span className="hint">on {island}</span>
        </p>
        {note && <p className="entry-note">{note}</p>}
      </div>
      <button
        type="button"
        className="link-button"
        aria-label={`Edit: ${count} ${species} on ${island}, ${timeText(observedAtMs)}`}
        onClick={() => setEditing(true)}
      >
        Edit
      </button>
    </li>
  )
}
