import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { afterEach, expect, test } from 'vitest'
import { temporaryDataDir } from '../testing/temporary-data-dir.ts'
import { checkDurability, DurableFileSystem, durableStartParams, NotDurable } from './durable-file-system.ts'

let tidy = async () => {}
afterEach(() => tidy())

async function openWith(startParams: string[]) {
  const directory = await temporaryDataDir()
  const files = new DurableFileSystem(join(directory.path, 'database'))
  const pglite = await PGlite.create({ fs: files, startParams })
  tidy = async () => {
    await pglite.close()
    directory.remove()
  }
  return { pglite, files }
}

test('every commit is followed by one fsync', { timeout: 60_000 }, async () => {
  const { pglite, files } = await openWith(durableStartParams)
  await pglite.exec('create table t (n integer)')
  const before = files.syncs

  for (let n = 0; n < 10; n++) await pglite.query('insert into t values ($1)', [n])

  expect(files.syncs - before).toBe(10)
  await checkDurability(pglite, files)
})

test('the self-test refuses a PGlite that commits without fsync', { timeout: 60_000 }, async () => {
  const { pglite, files } = await openWith(PGlite.defaultStartParams)

  await expect(checkDurability(pglite, files)).rejects.toThrow(NotDurable)
})
