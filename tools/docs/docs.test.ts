import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { errorsPage, errorsPageUrl } from './docs.ts'
import { documentedCodes, errorSection } from './error-table.ts'

test('docs/errors.md says what the sources say (else run `npm run docs`)', async () => {
  expect(await readFile(errorsPageUrl, 'utf8')).toBe(await errorsPage())
})

test('a code without a comment is refused by name', () => {
  const source = `export type Code =\n  /** Fine. Do nothing. */\n  | 'fine'\n  | 'bare'\n\n`

  expect(() => documentedCodes(source, 'Code')).toThrow("'bare' has no comment")
  expect(() => documentedCodes(source, 'Other')).toThrow('no documented union Other')
})

test('the first sentence is the meaning, the rest what to do', () => {
  expect(errorSection('Codes', [{ code: 'a', meaning: 'It is | so. Then do this. And that.' }])).toContain(
    '| `a` | It is \\| so. | Then do this. And that. |',
  )
})
