/**
 * Restore and unlock in a real browser, beside bare RxDB on Dexie and localStorage, in the same run: a number alone says nothing on a busy machine.
 *
 *     pnpm --filter @nightlatch/session-cache bench
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { KdfSettings } from '../src/key-derivation.ts'
import { openProfile, type ProfileBrowser, servePage } from '../src/node-only/real-profile.ts'

const ROUNDS = 15

const kdfs: readonly (readonly [name: string, settings: KdfSettings])[] = [
  ['Argon2id 64 MiB, 3 passes (default)', { name: 'argon2id', memoryKiB: 65_536, passes: 3 }],
  ['Argon2id 46 MiB, 2 passes', { name: 'argon2id', memoryKiB: 47_104, passes: 2 }],
  ['Argon2id 19 MiB, 2 passes (floor)', { name: 'argon2id', memoryKiB: 19_456, passes: 2 }],
  ['PBKDF2-SHA-256, 600,000 (no WebAssembly)', { name: 'pbkdf2', iterations: 600_000 }],
]

const server = await servePage(fileURLToPath(new URL('./bench-page.ts', import.meta.url)))
const profiles: string[] = []
try {
  for (const users of [1, 10, 1_000]) {
    const browser = await newBrowser()
    await browser.page.evaluate(`page.fill(${users})`)
    const restore = await alternating(browser, ['fromLocalStorage', 'fromBareRxdb', 'fromSessionCache', 'listFromSessionCache'])
    print(`${users} stored users`, restore)
    const [bare, cached] = [median(restore.fromBareRxdb ?? []), median(restore.fromSessionCache ?? [])]
    console.log(`  session-cache on top of bare RxDB: ${Math.round((cached / bare - 1) * 100)} %\n`)
    await browser.close()
  }
  const browser = await newBrowser()
  for (const [name, settings] of kdfs) {
    const took: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) took.push(await browser.page.evaluate(`page.derive(${JSON.stringify(settings)})`))
    print('key derivation', { [name]: took })
  }
  await browser.close()
} finally {
  await server.close()
  for (const profile of profiles) await rm(profile, { recursive: true, force: true, maxRetries: 5 })
}

async function newBrowser(): Promise<ProfileBrowser> {
  const profile = await mkdtemp(join(tmpdir(), 'nightlatch-bench-'))
  profiles.push(profile)
  return openProfile(profile, server.url)
}

/** Each measure once per round, each in a freshly loaded page, so that a change of load meets all of them. */
async function alternating(browser: ProfileBrowser, measures: readonly string[]): Promise<Record<string, number[]>> {
  const took: Record<string, number[]> = Object.fromEntries(measures.map((measure) => [measure, []]))
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const measure of measures) {
      await browser.page.goto(server.url)
      await browser.page.waitForFunction('globalThis.page !== undefined')
      took[measure]?.push(await browser.page.evaluate(`page.${measure}()`))
    }
  }
  return took
}

function print(title: string, measures: Readonly<Record<string, readonly number[]>>): void {
  for (const [name, took] of Object.entries(measures)) {
    const sorted = [...took].sort((a, b) => a - b)
    const p95 = sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Number.NaN
    console.log(`${title} | ${name} | median ${median(took).toFixed(1)} ms | p95 ${p95.toFixed(1)} ms`)
  }
}

function median(took: readonly number[]): number {
  const sorted = [...took].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
