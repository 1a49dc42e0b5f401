import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { removeOrphanedOutput } from './orphaned-output.ts'

test('removes what tsc built from sources that are gone, and nothing else', () => {
  const root = mkdtempSync(join(tmpdir(), 'nightlatch-orphans-'))
  const write = (path: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), '')
  }
  const kept = [
    'packages/a/dist/lock.js',
    'packages/a/dist/http/wire.d.ts.map',
    'packages/a/dist/worker.js',
    'apps/page/dist/assets/index.js',
  ]
  const orphans = ['packages/a/dist/old-lock.js', 'packages/a/dist/http/old-wire.d.ts.map']
  const sources = ['packages/a/src/lock.ts', 'packages/a/src/http/wire.ts', 'packages/a/src/worker.js']
  for (const path of [...sources, ...kept, ...orphans, 'packages/a/dist/.tsbuildinfo']) write(path)

  removeOrphanedOutput(root)

  expect([...kept, ...orphans].filter((path) => existsSync(join(root, path)))).toEqual(kept)
  rmSync(root, { recursive: true })
})
