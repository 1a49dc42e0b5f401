import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readSettings } from './settings.ts'

function configFile(contents: unknown) {
  const folder = mkdtempSync(join(tmpdir(), 'nightlatch-settings-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'server.json')
  writeFileSync(path, JSON.stringify(contents))
  return path
}

test('flags win over variables, variables over the file', () => {
  const config = configFile({
    server: { port: 1, accessLifeS: 1, sessionIdleS: 1, devRoutes: true, origin: ['https://a.example', 'app://b'] },
  })
  const environment = { NIGHTLATCH_PORT: '2', NIGHTLATCH_ACCESS_LIFE_S: '2', DATABASE_URL: 'postgres://x' }

  const { settings } = readSettings(['--config', config, '--port', '3'], environment)

  expect(settings).toEqual({
    port: 3,
    accessLifeS: 2,
    sessionIdleS: 1,
    devRoutes: true,
    origin: ['https://a.example', 'app://b'],
    databaseUrl: 'postgres://x',
  })
})

test.each([
  [['--port', 'x'], {}, undefined, '--port must be a whole number of at least 0, not "x".'],
  [[], { NIGHTLATCH_ACCESS_LIFE_S: '0' }, undefined, 'NIGHTLATCH_ACCESS_LIFE_S must be a whole number of at least 1, not "0".'],
  [[], { NIGHTLATCH_DEV_ROUTES: 'maybe' }, undefined, 'NIGHTLATCH_DEV_ROUTES must be true or false, not "maybe".'],
  [[], {}, { port: -1 }, /^server\.port in .* must be a whole number/],
  [[], {}, { prot: 1 }, /^server\.prot in .* is not a setting/],
])('names what is wrong: %j %j %j', (args, environment, server, message) => {
  const file = server === undefined ? [] : ['--config', configFile({ server })]
  expect(() => readSettings([...args, ...file], environment)).toThrow(message)
})
