import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { checkEngineMark, WrongEngine } from './engine-mark.ts'

test('a directory stays with the engine it was first served from', () => {
  const directory = mkdtempSync(join(tmpdir(), 'nightlatch-mark-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  checkEngineMark(directory, 'pglite')
  checkEngineMark(directory, 'pglite')

  expect(() => checkEngineMark(directory, 'postgresql')).toThrow(WrongEngine)
})
