import { afterEach, describe, expect, test } from 'vitest'
import { startServer } from './start-server.ts'
import { openDevice, type RxdbDevice } from './testing/rxdb-device.ts'
import { temporaryDataDir } from './testing/temporary-data-dir.ts'
import { startTemporaryPostgres } from './testing/temporary-postgres.ts'
import { TestClient } from './testing/test-client.ts'
import { testEngines } from './testing/test-server.ts'

const ROUNDS = process.env.NIGHTLATCH_DEEP ? 60 : 6
const EDITS_PER_ROUND = 8
const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** Small and seeded (mulberry32), so that a failure can be run again. */
function randomSource(seed: number) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

async function instances(engine: 'pglite' | 'postgresql', count: number): Promise<readonly string[]> {
  const directory = await temporaryDataDir({ withDatabase: engine === 'pglite' })
  undo.push(directory.remove)
  const config = { collections: { notes: { schemaVersion: 0 } } }
  const postgres = engine === 'postgresql' ? await startTemporaryPostgres() : undefined
  undo.push(() => postgres?.stop())
  const databaseUrl = await postgres?.createDatabase()
  const urls: string[] = []
  for (let n = 0; n < (engine === 'pglite' ? 1 : count); n++) {
    const server = await startServer({ dataDir: directory.path, config, ...(databaseUrl === undefined ? {} : { databaseUrl }) })
    undo.push(() => server.close())
    urls.push(server.url)
  }
  return urls
}

describe.each(testEngines)('on %s', (engine) => {
  test('two users with three devices each, random edits, lost requests and lost answers: converged and isolated', {
    timeout: 240_000,
  }, async () => {
    const seed = Number(process.env.NIGHTLATCH_SEED ?? Date.now() % 1_000_000)
    console.info(`RxDB model: NIGHTLATCH_SEED=${seed}`)
    const random = randomSource(seed)
    const urls = await instances(engine, 2)
    let lossy = true
    const send = async (path: string, init?: RequestInit) => {
      if (lossy && random() < 0.15) throw new TypeError('lost on the way there')
      const answer = await fetch(`${urls[Math.floor(random() * urls.length)]}${path}`, init)
      if (lossy && random() < 0.15) throw new TypeError('lost on the way back')
      return answer
    }
    const client = new TestClient(urls[0] ?? '')
    const users = [await client.newAccount(), await client.newAccount()]
    const devices: { readonly owner: number; readonly device: RxdbDevice }[] = []
    for (const [owner, user] of users.entries()) {
      for (let n = 0; n < 3; n++) {
        const device = await openDevice(`${engine}-${seed}-${owner}-${n}`, user.access_token, send)
        undo.push(() => device.close())
        devices.push({ owner, device })
      }
    }

    for (let round = 0; round < ROUNDS; round++) {
      lossy = true
      for (let edit = 0; edit < EDITS_PER_ROUND; edit++) {
        for (const { owner, device } of devices) await randomEdit(device, `user${owner}`, random)
      }
      lossy = false
      for (let pass = 0; pass < 2; pass++) for (const { device } of devices) await device.settle()
      const states = await Promise.all(devices.map(({ device }) => contents(device)))
      for (const [index, { owner }] of devices.entries()) {
        expect(states[index], `device ${index} in round ${round}, seed ${seed}`).toEqual(states[owner * 3])
        expect(states[index]?.every(({ text }) => text.startsWith(`user${owner} `))).toBe(true)
      }
    }
    expect((await contents(devices[0]?.device as RxdbDevice)).length).toBeGreaterThan(0)
  })
})

async function randomEdit({ notes }: RxdbDevice, owner: string, random: () => number): Promise<void> {
  const id = `note-${Math.floor(random() * 12)}` // the same ids for both users, on purpose
  const text = `${owner} ${Math.floor(random() * 1e9)}`
  const existing = await notes.findOne(id).exec()
  if (!existing)
    await notes.insert({ id, text }).catch(() => {}) // another device's may have arrived meanwhile
  else if (random() < 0.25) await existing.incrementalRemove()
  else await existing.incrementalPatch({ text })
}

async function contents({ notes }: RxdbDevice) {
  const documents = await notes.find({ sort: [{ id: 'asc' }] }).exec()
  return documents.map(({ id, text }) => ({ id, text }))
}
