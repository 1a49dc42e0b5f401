import { cpus, totalmem } from 'node:os'
import { refreshTogether } from './refresh-together.ts'
import { restoreUsers } from './restore-users.ts'
import { sizeByPart } from './size-by-part.ts'

/** Prints everything that is measured of auth-core, as tables; nothing here is a test. */
const [cpu] = cpus()
console.log(`${cpus().length} x ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}\n`)

console.log('100 callers in each of 5 tabs, token expired, an endpoint of 50 ms')
console.table(await refreshTogether({ tabs: 5, callers: 100, latencyMs: 50, rounds: 15 }))

console.log('From createApp to `ready`, users in memory (on disk: bench/session-cache.md)')
console.table(await restoreUsers({ counts: [1, 10, 1_000], rounds: 25 }))

console.log('Own code by part, rxjs not counted: share of the bundle, bytes after Brotli')
console.table(await sizeByPart())
