import type { Island, Observation, Species } from './schemas.ts'
import { ISLANDS, MAX_COUNT, MAX_NOTE_LENGTH, SPECIES } from './schemas.ts'
import { fromLocalInput } from './time-text.ts'

/** What a person enters. */
export type ObservationDraft = Pick<Observation, 'species' | 'island' | 'count' | 'note' | 'observedAtMs'>
export type DraftField = keyof ObservationDraft
export type DraftProblems = Partial<Record<DraftField, string>>

/** Clocks differ a little between devices; a time further ahead is a slip of the finger. */
const MAX_AHEAD_MS = 5 * 60_000

/** Reads the fields of the form as they were typed; either a draft to store or, by field, what to do about it. */
export function readDraft(
  typed: Readonly<Record<DraftField, string>>,
  nowMs: number,
): { readonly draft: ObservationDraft } | { readonly problems: DraftProblems } {
  const problems: DraftProblems = {}
  const species = SPECIES.find((name): name is Species => name === typed.species)
  const island = ISLANDS.find((name): name is Island => name === typed.island)
  const count = Number(typed.count)
  const note = typed.note.trim()
  const observedAtMs = fromLocalInput(typed.observedAtMs)

  if (!species) problems.species = 'Choose a species.'
  if (!island) problems.island = 'Choose an island.'
  if (!typed.count.trim() || !Number.isInteger(count) || count < 1) problems.count = 'Enter 1 or more.'
  else if (count > MAX_COUNT) problems.count = `Enter at most ${MAX_COUNT}.`
  if (note.length > MAX_NOTE_LENGTH) problems.note = `Shorten the note to ${MAX_NOTE_LENGTH} characters.`
  if (Number.isNaN(observedAtMs) || observedAtMs < 0) problems.observedAtMs = 'Enter a date and a time.'
  else if (observedAtMs > nowMs + MAX_AHEAD_MS) problems.observedAtMs = 'This is in the future.'

  if (!species || !island || Object.keys(problems).length > 0) return { problems }
  return { draft: { species, island, count, note, observedAtMs } }
}
