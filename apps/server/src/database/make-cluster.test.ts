import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { expect, onTestFinished, test } from 'vitest'
import { openPGlite } from './open-pglite.ts'

test('a first start that was cut short is begun anew', { timeout: 120_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'nightlatch-cluster-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const halfMade = join(directory, 'database.draft')
  mkdirSync(halfMade)
  writeFileSync(join(halfMade, 'PG_VERSION'), '18\n')

  const { db, close } = await openPGlite(directory)

  expect((await sql`select 1 as one`.execute(db)).rows).toEqual([{ one: 1 }])
  await close()
  expect(existsSync(halfMade)).toBe(false)
})
