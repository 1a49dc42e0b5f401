/** Prints what a log-out leaves behind: plain RxDB's `cancel()` beside the guard, in the same random runs. */
import 'fake-indexeddb/auto'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { guardedLogOut, type LogOutTotals, manyLogOuts, plainLogOut } from './log-out-runs.ts'

console.warn = () => {} // RxDB's advertisement
const memory = getRxStorageMemory()
const dexie = getRxStorageDexie()
const runs = Number(process.argv[2] ?? 100)
const rows: [string, LogOutTotals][] = [
  ['cancel(), memory', await manyLogOuts((seed) => plainLogOut(memory, seed), runs, 1)],
  ['guard,    memory', await manyLogOuts((seed) => guardedLogOut(memory, seed), runs, 1)],
  ['cancel(), Dexie', await manyLogOuts((seed) => plainLogOut(dexie, seed), runs, 1, 4)],
  ['guard,    Dexie', await manyLogOuts((seed) => guardedLogOut(dexie, seed), runs, 1, 4)],
]
console.log(`${runs} log-outs at random moments during live sync, then a log-in again:\n`)
console.table(
  Object.fromEntries(
    rows.map(([name, totals]) => [
      name,
      {
        'requests started afterwards': totals.callsAfter,
        'runs with writes afterwards': totals.runsWithWritesAfter,
        'writes lost': totals.lost,
        'false conflicts': totals.falseConflicts,
        'halt ms (median)': totals.medianMs.toFixed(1),
        'halt ms (p95)': totals.p95Ms.toFixed(1),
      },
    ]),
  ),
)
