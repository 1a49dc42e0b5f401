import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { chromiumTabs, freeze, inChromium } from '../test/chromium-tabs.ts'
import { eventually, pause } from '../test/guarded-app.ts'
import type { WireServer } from '../test/wire-server.ts'

const isSynced = (page: Page) =>
  page.evaluate(() => {
    const { kind, pending } = window.tab.state()
    return kind === 'synced' && pending.exact && pending.count === 0
  })

/** By id, with how often the server has stored each. */
function storedByServer({ writers }: WireServer): Record<string, number> {
  const times: Record<string, number> = {}
  for (const id of [...writers.values()].flat()) times[id] = (times[id] ?? 0) + 1
  return times
}

const once = (ids: readonly string[]) => Object.fromEntries(ids.map((id) => [id, 1]))

inChromium(
  'G3: an old tab that keeps writing stops with a typed refusal, and nothing it stored is missing in the new one',
  { timeout: 60_000 },
  async () => {
    const { server, open } = await chromiumTabs()
    const old = await open({ version: 0 })
    await eventually(() => isSynced(old))
    const writing = old.evaluate(() => window.tab.writeUntilRefused('old'))
    await pause(300)

    const fresh = await open({ version: 1 })

    const { stored, refusal } = await writing
    expect(refusal).toBe('app-outdated')
    expect(stored.length).toBeGreaterThan(10)
    expect(await old.evaluate(() => window.tab.state())).toMatchObject({ kind: 'blocked', cause: 'outdated-client' })
    expect(await fresh.evaluate(() => window.states)).toContainEqual(
      expect.objectContaining({ kind: 'blocked', cause: 'migration-waiting' }),
    )
    expect(await fresh.evaluate(() => window.events)).toContainEqual(
      expect.objectContaining({ type: 'app-update', state: 'taken-over', silentTabs: 0 }),
    )
    const here = await fresh.evaluate(() => window.tab.notes())
    expect(here.map(({ id }) => id).sort()).toEqual([...stored].sort())
    expect(here.filter(({ shout }) => shout !== 'X')).toEqual([])
    await eventually(() => isSynced(fresh), 20_000)
    expect(storedByServer(server)).toEqual(once(stored))
  },
)

inChromium(
  'G3: what an old tab writes that was frozen during the migration is refused or carried over, and it sends nothing',
  { timeout: 60_000 },
  async () => {
    const { server, open } = await chromiumTabs()
    const old = await open({ version: 0 })
    await old.evaluate(() => window.tab.write('early'))
    await eventually(async () => (await isSynced(old)) && server.document('notes', 'early') !== undefined)
    const fresh = await open({ version: 1, waits: true })
    const frozen = await freeze(old, () => window.tab.writeUntilRefused('late'))

    await fresh.evaluate(() => window.goOn())
    await fresh.waitForFunction(() => window.tab !== undefined)
    expect(await fresh.evaluate(() => window.events)).toContainEqual(
      expect.objectContaining({ type: 'app-update', state: 'taken-over', silentTabs: 1 }),
    )
    const wokenAtMs = performance.now()
    const { stored, refusal } = await frozen.thaw()

    expect(refusal).toBe('app-outdated')
    expect(stored.length).toBeGreaterThan(0)
    const wanted = ['early', ...stored].sort()
    const ids = async () => (await fresh.evaluate(() => window.tab.notes())).map(({ id }) => String(id)).sort()
    await eventually(async () => (await ids()).length === wanted.length)
    expect(await ids()).toEqual(wanted)
    const carriedOver = async () =>
      (await fresh.evaluate(() => window.events)).reduce((sum, event) => sum + (event.type === 'carried-over' ? event.documents : 0), 0)
    await eventually(async () => (await carriedOver()) === stored.length)
    expect(await old.evaluate(() => window.tab.state())).toMatchObject({ kind: 'blocked', cause: 'outdated-client' })
    await eventually(() => isSynced(fresh), 20_000)
    expect(storedByServer(server)).toEqual(once(wanted))
    expect(server.requests.filter(({ atMs, token }) => token === 'token-0' && atMs > wokenAtMs)).toEqual([])
  },
)
