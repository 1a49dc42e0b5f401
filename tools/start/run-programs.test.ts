import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runPrograms } from './run-programs.ts'

let folder: string
let printed: string[]
let user: AbortController

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightlatch-start-'))
  printed = []
  user = new AbortController()
})

afterEach(() => rmSync(folder, { recursive: true }))

const READY = `console.log(JSON.stringify({ ready: true, url: 'http://127.0.0.1:1' }))`
const STAYS = `setInterval(() => {}, 1000)`
const stopsLoudly = (name: string) =>
  `process.on('SIGTERM', () => { require('node:fs').appendFileSync('stops', '${name} '); process.exit(0) })`

function program(name: string, ...lines: string[]) {
  const file = join(folder, `${name}.cjs`)
  writeFileSync(file, lines.join('\n'))
  return { name, args: [file] }
}

const run = (programs: { name: string; args: string[] }[], onReady = () => {}) =>
  runPrograms(programs, { cwd: folder, print: (line) => printed.push(line), signal: user.signal, onReady })

test('runs both until the user stops them, the later one first', async () => {
  const server = program('server', stopsLoudly('server'), STAYS, `console.log('listening')`, READY)
  const fieldbook = program('fieldbook', stopsLoudly('fieldbook'), STAYS, READY)

  const exitCode = await run([server, fieldbook], () => user.abort())

  expect(exitCode).toBe(0)
  expect(readFileSync(join(folder, 'stops'), 'utf8')).toBe('fieldbook server ')
  expect(printed).toEqual(['server | listening'])
})

test('says so and stops the other one when a program ends by itself', async () => {
  const server = program('server', stopsLoudly('server'), STAYS, READY)
  const fieldbook = program('fieldbook', READY, `setTimeout(() => { console.error('out of ink'); process.exit(3) }, 50)`)

  const exitCode = await run([server, fieldbook])

  expect(exitCode).toBe(1)
  expect(printed).toEqual([
    'fieldbook | out of ink',
    'The fieldbook ended by itself (exit code 3); its last lines are above. Everything stops.',
  ])
  expect(readFileSync(join(folder, 'stops'), 'utf8')).toBe('server ')
})

test('does not start the second one when the first one does not get ready', async () => {
  const server = program('server', `console.error('the data folder is locked'); process.exit(1)`)
  const fieldbook = program('fieldbook', `require('node:fs').writeFileSync('started', '')`, READY, STAYS)

  const exitCode = await run([server, fieldbook])

  expect(exitCode).toBe(1)
  expect(printed).toEqual(['server | the data folder is locked', 'The server ended before it was ready (exit code 1).'])
  expect(() => readFileSync(join(folder, 'started'))).toThrow()
})

test('stops a program that is not ready yet when the user does not want to wait', async () => {
  const server = program('server', stopsLoudly('server'), STAYS, `console.log('still reading the seed')`)
  const running = run([server])
  await expect.poll(() => printed).toEqual(['server | still reading the seed'])

  user.abort()

  expect(await running).toBe(0)
  expect(readFileSync(join(folder, 'stops'), 'utf8')).toBe('server ')
})
