import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { type ChromiumTabs, chromiumTabs, freeze, inChromium, leaders } from '../test/chromium-tabs.ts'
import { eventually, pause } from '../test/guarded-app.ts'

async function tabs(count: number): Promise<Pick<ChromiumTabs, 'server'> & { pages: Page[] }> {
  const { server, open } = await chromiumTabs()
  const pages: Page[] = []
  for (let i = 0; i < count; i += 1) pages.push(await open())
  await eventually(async () => (await leaders(pages)) === 1, 10_000)
  return { server, pages }
}

inChromium(
  'one of five tabs replicates, all of them write, every write arrives once, and all show the same count',
  { timeout: 60_000 },
  async () => {
    const { server, pages } = await tabs(5)
    await Promise.all(pages.map((page, i) => page.evaluate((id) => window.tab.write(id), `from-${i}`)))
    await eventually(() => server.documents('notes').length === 5, 10_000)
    expect(await leaders(pages)).toBe(1)
    for (const page of pages) await eventually(async () => (await page.evaluate(() => window.tab.pending())) === 0)
    const pushes = server.requests.filter(({ action }) => action === 'push').flatMap(({ ids }) => ids)
    expect(new Set(pushes).size).toBe(pushes.length)
  },
)

inChromium('once() in any of three tabs uploads what was written there, and one of them replicates', { timeout: 60_000 }, async () => {
  const { server, pages } = await tabs(3)
  for (const [i, page] of pages.entries()) {
    await page.evaluate(async (id) => {
      await window.tab.write(id)
      await window.tab.once()
    }, `from-${i}`)
    expect(server.document('notes', `from-${i}`)).toBeDefined()
  }
  expect(await leaders(pages)).toBe(1)
})

inChromium('when the tab that replicates is closed another one goes on', { timeout: 60_000 }, async () => {
  const { server, pages } = await tabs(2)
  await pages[0]?.close()
  await pages[1]?.evaluate(() => window.tab.write('after'))
  await eventually(() => server.document('notes', 'after') !== undefined, 10_000)
})

inChromium(
  'G1 G6: a log-out in one of five tabs halts all; the number it shows is what the server is missing',
  { timeout: 60_000 },
  async () => {
    const { server, pages } = await tabs(5)
    server.fault = ({ action, ids }) => (action === 'push' && ids.some((id) => id.startsWith('w3')) ? { status: 503, body: {} } : undefined)
    const writing = Promise.all(pages.map((page, i) => page.evaluate((prefix) => window.tab.writeUntilRefused(prefix), `w${i}`)))
    await new Promise((resolve) => setTimeout(resolve, 400))

    const report = await (pages[4] as Page).evaluate(() => window.tab.end())
    const resolvedAtMs = performance.now()
    const written = (await writing).flatMap(({ stored }) => stored)

    const missing = written.filter((id) => server.document('notes', id) === undefined)
    expect(report).toMatchObject({ kept: missing.length, silentTabs: 0 })
    expect(missing.length).toBeGreaterThan(0)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(server.requests.filter(({ atMs }) => atMs > resolvedAtMs)).toEqual([])
  },
)

inChromium('G1: a frozen tab that replicates is replaced, and sends nothing when it wakes', { timeout: 60_000 }, async () => {
  const { server, pages } = await tabs(2)
  const [first, second] = pages as [Page, Page]
  expect(await first.evaluate(() => window.tab.leads())).toBe(true)
  // A debugger stops a tab within a storage transaction too, for which all others would wait; a browser does not freeze it there.
  await eventually(() => first.evaluate(() => window.tab.state().kind === 'synced'))
  await pause(500)
  const frozen = await freeze(first, () => 1)
  await second.bringToFront()

  await eventually(() => second.evaluate(() => window.tab.leads()), 15_000)
  await second.evaluate(() => window.tab.write('a'))
  await eventually(() => server.document('notes', 'a') !== undefined, 10_000)
  const wokenAtMs = performance.now()
  await frozen.thaw()
  await new Promise((resolve) => setTimeout(resolve, 500))

  expect(server.requests.filter(({ atMs, token }) => token === 'token-0' && atMs > wokenAtMs)).toEqual([])
  expect(await leaders(pages)).toBe(1)
})
