import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const bootstrap = fileURLToPath(new URL('bootstrap.mjs', import.meta.url))

test('refuses with one sentence, not with a stack', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bootstrap, 'strat'], { encoding: 'utf8' })

  expect({ status, stdout, stderr }).toEqual({
    status: 1,
    stdout: '',
    stderr: 'Unknown command strat: use start or test or test:deep or build.\n',
  })
})

test('names the Node it needs when it runs on an older one', () => {
  const pretend = `data:text/javascript,Object.defineProperty(process, 'versions', { value: { node: '16.20.2' } })`
  const { status, stderr } = spawnSync(process.execPath, ['--import', pretend, bootstrap, 'test'], { encoding: 'utf8' })

  expect(status).toBe(1)
  expect(stderr).toMatch(/^Nightlatch needs Node [\d.]+ or newer here, and this is Node 16\.20\.2\.\n$/)
})
