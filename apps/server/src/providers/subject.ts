import { isStorable } from '../http/text.ts'
import { claimMissing, refused } from './provider-refusal.ts'

const MAX_SUBJECT = 400

/** The name of a person at a provider, fit to be stored and looked up. */
export function readSubject(value: unknown, claim = 'sub'): string {
  if (value === undefined || value === null || value === '') throw claimMissing(claim)
  const subject = typeof value === 'number' ? String(value) : value
  if (typeof subject !== 'string' || subject.length > MAX_SUBJECT || !isStorable(subject))
    throw refused(`its claim "${claim}" is not usable`)
  return subject
}
