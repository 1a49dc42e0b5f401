import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { portsOf } from './ports.ts'

let dataFolder: string
const listeners: Server[] = []

beforeEach(() => {
  dataFolder = mkdtempSync(join(tmpdir(), 'nightlatch-ports-'))
})

afterEach(async () => {
  for (const server of listeners.splice(0)) await new Promise((resolve) => server.close(resolve))
  rmSync(dataFolder, { recursive: true })
})

/** Takes a port and gives its number; 0 takes any. */
function take(port = 0): Promise<number> {
  const server = createServer()
  listeners.push(server)
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
}

async function someFreePort(): Promise<number> {
  const port = await take()
  await new Promise((resolve) => listeners.pop()?.close(resolve))
  return port
}

test('the first start takes the next free port where one is taken, and later starts reuse the choice', async () => {
  const taken = await take()

  const first = await portsOf(dataFolder, { server: taken, fieldbook: taken })

  expect(first.server).toBeGreaterThan(taken)
  expect(first.fieldbook).toBeGreaterThan(taken)
  expect(first.fieldbook).not.toBe(first.server)
  expect(await portsOf(dataFolder, { server: 1, fieldbook: 2 })).toEqual(first)
})

test('a later start stops with a sentence that names the port somebody else has taken', async () => {
  const port = await someFreePort()
  const { fieldbook } = await portsOf(dataFolder, { server: port, fieldbook: port })
  await take(fieldbook)

  await expect(portsOf(dataFolder, { server: port, fieldbook: port })).rejects.toThrow(`Port ${fieldbook} of the fieldbook is taken`)
})

test('a ports file that holds something else is named, not overwritten', async () => {
  const file = join(dataFolder, 'ports.json')
  writeFileSync(file, '{"server":')

  await expect(portsOf(dataFolder, { server: 4400, fieldbook: 4401 })).rejects.toThrow(`${file} does not hold two ports`)
  expect(readFileSync(file, 'utf8')).toBe('{"server":')
})
