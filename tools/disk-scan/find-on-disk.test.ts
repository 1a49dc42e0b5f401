import { expect, test } from 'vitest'
import { formsOf } from './find-on-disk.ts'

test('the scan knows every form it looks for', () => {
  const text = 'prefix canary-access-token-9d3e suffix'
  const forms = new Map(formsOf('canary-access-token-9d3e'))

  expect(Buffer.from(text).includes(forms.get('raw') ?? '-')).toBe(true)
  for (const shift of [0, 1, 2]) {
    const encoded = Buffer.from(text.slice(7 - shift)).toString('base64')
    expect(encoded).toContain(forms.get(`base64 shifted by ${shift}`)?.toString())
  }
})
