import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { build } from 'vite'
import { expect, test } from 'vitest'
import type { FieldbookServer } from '../serve/fieldbook-server.ts'
import type { LinkRequest } from '../serve/request-log.ts'
import type { PlainApp } from './plain-cancel/plain-app.ts'
import {
  logIn,
  notesAtServer,
  openBrowser,
  openFieldbook,
  register,
  somebody,
  startFieldbookHere,
  startServer,
  temporaryFolder,
  waitForNotes,
  waitForPending,
  waitForStatus,
  writeDown,
} from './station.ts'

/** Shorter than the margin that makes a token fit, so that a refresh is often under way when somebody logs out. */
const SHORT_ACCESS = { 'access-life-s': '10' }

/** Longer than a refresh and the request that waits for it take over the slow link. */
const ARRIVAL_MS = 4_000

/** Longer than RxDB waits before it tries again (5 s). */
const RETRY_MS = 6_000

/** Where the page is when it logs out, after a write over the slow link: before the push, during it, while its answer is on the way. */
const MOMENTS_MS = [0, 300, 1_200, 2_500]

test('G1, G3: after a log-out during sync no request is started with the old access token, and what was kept is sent after the next log-in', async () => {
  const server = await startServer(await temporaryFolder(), SHORT_ACCESS)
  const fieldbook = await startFieldbookHere(server)
  const anna = somebody()
  const page = await openFieldbook(await openBrowser(await temporaryFolder()), fieldbook.url)
  await register(page, anna)

  for (const [round, momentMs] of MOMENTS_MS.entries()) {
    if (round > 0) await logIn(page, anna)
    await waitForPending(page, 0)
    await waitForStatus(page, 'Online')
    fieldbook.link.setMode('slow')
    await writeDown(page, `Round ${round}`)
    await delay(momentMs)

    const loggedOutAtMs = await logOutKeepingWrites(page, round + 1)
    await delay(ARRIVAL_MS)
    if (round === MOMENTS_MS.length - 1) await temptToReconnect(fieldbook)
    fieldbook.link.setMode('up')

    const withToken = fieldbook.link.requests.filter((request) => request.tokenDigest !== null)
    expect(withToken.filter((request) => request.path.endsWith('/stream')).length).toBeGreaterThan(round)
    expect(withToken.filter((request) => request.endedAtMs === null)).toEqual([])
    expect(startedAfter(loggedOutAtMs, withToken)).toEqual([])
  }

  await logIn(page, anna)
  await waitForNotes(
    page,
    MOMENTS_MS.map((_, round) => `Round ${round}`),
  )
  await waitForPending(page, 0)
  expect(await notesAtServer(server, anna)).toEqual(MOMENTS_MS.map((_, round) => `Round ${round}`))
})

test('the control: with RxDB’s cancel() alone the link sees a request that is started after the log-out', async () => {
  const pages = await temporaryFolder()
  await build({
    root: fileURLToPath(new URL('./plain-cancel', import.meta.url)),
    logLevel: 'error',
    build: { outDir: pages, emptyOutDir: true },
  })
  const server = await startServer(await temporaryFolder(), SHORT_ACCESS)
  const fieldbook = await startFieldbookHere(server, pages)
  const page = await openFieldbook(await openBrowser(await temporaryFolder()), fieldbook.url)
  await page.evaluate((person) => (globalThis as unknown as { plainApp: PlainApp }).plainApp.start(person), somebody())

  fieldbook.link.setMode('slow')
  const loggedOutAtMs = await page.evaluate(async () => {
    const { plainApp } = globalThis as unknown as { plainApp: PlainApp }
    await plainApp.write('Just before the log-out')
    await new Promise((resolve) => setTimeout(resolve, 300))
    return plainApp.logOut()
  })
  await delay(ARRIVAL_MS)

  expect(startedAfter(loggedOutAtMs, fieldbook.link.requests)).toContainEqual(
    expect.objectContaining({ path: '/v1/sync/observations/0/push' }),
  )
})

/**
 * Logs out and keeps what is not sent; nothing is asked when everything is.
 *
 * @returns when the page's n-th log-out had resolved, milliseconds since 1970. Both clocks are this machine's.
 */
async function logOutKeepingWrites(page: Page, nth: number): Promise<number> {
  await page.getByRole('button', { name: 'Log out' }).click()
  const keep = page.getByRole('button', { name: 'Keep on this device' })
  await keep.or(page.getByRole('heading', { name: 'Log in' })).waitFor()
  if (await keep.isVisible()) await keep.click()
  await page.waitForFunction((n) => performance.getEntriesByName('logged-out').length === n, nth)
  return page.evaluate(() => {
    const [mark] = performance.getEntriesByName('logged-out').slice(-1)
    return (mark as PerformanceMark).detail as number
  })
}

/** Cuts the link and brings it back: whoever still listens or wants to try again does it now. */
async function temptToReconnect({ link }: FieldbookServer): Promise<void> {
  link.setMode('down')
  await delay(200)
  link.setMode('up')
  await delay(RETRY_MS)
}

function startedAfter(atMs: number, requests: readonly LinkRequest[]): readonly LinkRequest[] {
  return requests.filter((request) => request.tokenDigest !== null && request.startedAtMs > atMs)
}
