import type { FormEvent, ReactNode } from 'react'
import { useId, useRef, useState } from 'react'
import { announce } from './announcements.ts'
import type { DraftField, DraftProblems, ObservationDraft } from './observation-draft.ts'
import { readDraft } from './observation-draft.ts'
import { ISLANDS, SPECIES } from './schemas.ts'
import { SpeciesName } from './species-name.tsx'
import { toLocalInput } from './time-text.ts'
import { typedText } from './typed-text.ts'

interface ObservationFormProps {
  readonly start?: ObservationDraft
  readonly save: (draft: ObservationDraft) => Promise<void>
  readonly saveLabel: string
  readonly onCancel?: () => void
}

export function ObservationForm({ start, save, saveLabel, onCancel }: ObservationFormProps) {
  const [problems, setProblems] = useState<DraftProblems>({})
  const [openedAtMs, setOpenedAtMs] = useState(() => Date.now())
  const [saved, setSaved] = useState<string>()
  const form = useRef<HTMLFormElement>(null)

  const submit = async () => {
    if (!form.current) return
    const fields = new FormData(form.current)
    const typed = (field: DraftField) => typedText(fields, field)
    const read = readDraft(
      {
        species: typed('species'),
        island: typed('island'),
        count: typed('count'),
        note: typed('note'),
        observedAtMs: typed('observedAtMs'),
      },
      Date.now(),
    )
    if ('problems' in read) {
      setProblems(read.problems)
      setSaved(undefined)
      form.current.querySelector<HTMLElement>(`[name="${Object.keys(read.problems)[0]}"]`)?.focus()
      return
    }
    setProblems({})
    try {
      await save(read.draft)
    } catch (error) {
      announce(`It could not be stored: ${error instanceof Error ? error.message : 'unknown reason'}`)
      return
    }
    if (start) return
    form.current?.reset()
    setSaved(`Written down: ${read.draft.count} ${read.draft.species} on ${read.draft.island}.`)
    setOpenedAtMs(Date.now())
  }

  return (
    <form
      ref={form}
      className="stack"
      noValidate
      onSubmit={(event: FormEvent) => {
        event.preventDefault()
        void submit()
      }}
    >
      <fieldset className="species-choice">
        <legend>Species</legend>
        <div className="chips">
          {SPECIES.map((species) => (
            <label key={species} className="chip">
              <input
                type="radio"
                name="species"
                value={species}
                defaultChecked={start ? start.species === species : species === SPECIES[0]}
              />
              <SpeciesName species={species} />
            </label>
          ))}
        </div>
        {problems.species && <small className="problem">{problems.species}</small>}
      </fieldset>
      <div className="field-row">
        <Field label="Count" problem={problems.count}>
          {(described) => <input name="count" inputMode="numeric" autoComplete="off" defaultValue={start?.count} {...described} />}
        </Field>
        <Field label="Island" problem={problems.island}>
          {(described) => (
            <select name="island" defaultValue={start?.island ?? ISLANDS[0]} {...described}>
              {ISLANDS.map((island) => (
                <option key={island}>{island}</option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <Field label="Seen at" problem={problems.observedAtMs}>
        {(described) => (
          <input
            key={openedAtMs}
            name="observedAtMs"
            type="datetime-local"
            defaultValue={toLocalInput(start?.observedAtMs ?? openedAtMs)}
            {...described}
          />
        )}
      </Field>
      <Field label="Note" problem={problems.note}>
        {(described) => <textarea name="note" rows={2} defaultValue={start?.note} {...described} />}
      </Field>
      <div className="buttons">
        <button type="submit" className="button primary">
          {saveLabel}
        </button>
        {onCancel && (
          <button type="button" className="button" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
      {!start && (
        <p className="hint saved" role="status">
          {saved}
        </p>
      )}
    </form>
  )
}

interface FieldProps {
  readonly label: string
  readonly problem: string | undefined
  readonly children: (described: { 'aria-describedby'?: string; 'aria-invalid'?: true }) => ReactNode
}

function Field({ label, problem, children }: FieldProps) {
  const id = useId()
  return (
    <div className="field">
      {/* biome-ignore lint/a11y/noLabelWithoutControl: the control is what `children` renders */}
      <label>
        <span>{label}</span>
        {children(problem ? { 'aria-describedby': id, 'aria-invalid': true } : {})}
      </label>
      {problem && (
        <small id={id} className="problem">
          {problem}
        </small>
      )}
    </div>
  )
}
