import 'fake-indexeddb/auto'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { expect, test } from 'vitest'
import { guardedLogOut, manyLogOuts, plainLogOut } from '../test/log-out-runs.ts'

const deep = Number(process.env.NIGHTLATCH_RUNS_FACTOR ?? 1)
const firstSeed = Number(process.env.NIGHTLATCH_SEED ?? 1)
const memory = getRxStorageMemory()
const dexie = getRxStorageDexie()
const clean = { callsAfter: 0, runsWithWritesAfter: 0, lost: 0, notPulled: 0, falseConflicts: 0, seeds: [] }

test('G1 G3: 1000 log-outs at random moments leave nothing behind and lose nothing (memory)', { timeout: 100_000 * deep }, async () => {
  expect(await manyLogOuts((seed) => guardedLogOut(memory, seed), 1000 * deep, firstSeed)).toMatchObject(clean)
})

test('G1 G3: 100 log-outs at random moments leave nothing behind and lose nothing (Dexie)', { timeout: 100_000 * deep }, async () => {
  expect(await manyLogOuts((seed) => guardedLogOut(dexie, seed), 100 * deep, firstSeed, 4)).toMatchObject(clean)
})

test('the same runs with plain cancel() are seen to fail', { timeout: 60_000 }, async () => {
  const totals = await manyLogOuts((seed) => plainLogOut(memory, seed), 60, firstSeed)
  expect(totals.runsWithWritesAfter).toBeGreaterThan(0)
  expect(totals.falseConflicts).toBeGreaterThan(0)
})
