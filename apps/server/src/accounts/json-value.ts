import { isStorable } from '../http/text.ts'

/** Whether a value is JSON that PostgreSQL can keep, within `maxLength` characters when written. */
export function isStorableJson(value: unknown, maxLength: number): boolean {
  const written: unknown = JSON.stringify(value)
  if (typeof written !== 'string' || written.length > maxLength) return false
  let isGood = true
  JSON.parse(written, (name, inner: unknown) => {
    if (!isStorable(name) || (typeof inner === 'string' && !isStorable(inner))) isGood = false
    return inner
  })
  return isGood
}
