import { z } from 'zod'

/** Text that PostgreSQL can store: no NUL, no half of a surrogate pair. */
export const text = (maxLength: number) =>
  z.string().max(maxLength).refine(isStorable, { error: 'holds a character that cannot be stored' })

export function isStorable(value: string): boolean {
  return value.isWellFormed() && !value.includes('\0')
}
