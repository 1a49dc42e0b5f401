import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { build } from 'vite'
import { expect, test } from 'vitest'
import type { LinkRequest } from '../serve/request-log.ts'
import type { PlainApp } from './plain-cancel/plain-app.ts'
import {
  logIn,
  openBrowser,
  openFieldbook,
  register,
  somebody,
  startFieldbookHere,
  startServer,
  temporaryFolder,
  waitForPending,
  writeDown,
} from './station.ts'

/** Shorter than the margin that makes a token fit, so that a refresh is often under way when somebody logs out. */
const SHORT_ACCESS = { 'access-life-s': '10' }

/** Longer than a request and its refresh take over the slow link, and than RxDB waits before it tries again (5 s). */
const WATCH_MS = 6_000

/** Where the page is when it logs out, after a write over the slow link: before the push, during it, while its answer is on the way. */
const MOMENTS_MS = [0, 300, 1_200, 2_500]

test('G1: after a log-out during sync no request is started with the old access token', async () => {
  const server = await startServer(await temporaryFolder(), SHORT_ACCESS)
  const fieldbook = await startFieldbookHere(server)
  const anna = somebody()
  const page = await openFieldbook(await openBrowser(await temporaryFolder()), fieldbook.url)
  await register(page, anna)

  for (const [round, momentMs] of MOMENTS_MS.entries()) {
    if (round > 0) await logIn(page, anna)
    await waitForPending(page, 0)
    fieldbook.link.setMode('slow')
    await writeDown(page, `Round ${round}`)
    await delay(momentMs)

    const loggedOutAtMs = await logOutKeepingWrites(page)

    await temptToReconnect(fieldbook)
    const requests = [...fieldbook.link.requests]
    expect(requests.some((request) => request.tokenDigest && request.startedAtMs <= loggedOutAtMs)).toBe(true)
    expect(startedAfter(loggedOutAtMs, requests)).toEqual([])
  }
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
  await temptToReconnect(fieldbook)

  expect(startedAfter(loggedOutAtMs, fieldbook.link.requests)).toContainEqual(
    expect.objectContaining({ path: '/v1/sync/observations/0/push' }),
  )
})

/** @returns when the log-out had resolved in the page, milliseconds since 1970. Both clocks are this machine's. */
async function logOutKeepingWrites(page: Page): Promise<number> {
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('button', { name: 'Keep on this device' }).click()
  await page.getByRole('heading', { name: 'Log in' }).waitFor()
  return page.evaluate(() => {
    const [mark] = performance.getEntriesByName('logged-out').slice(-1)
    return (mark as PerformanceMark).detail as number
  })
}

/** Lets arrive what is on its way, then cuts the link and brings it back: whoever still listens or wants to try again does it now. */
async function temptToReconnect({ link }: { readonly link: { setMode(mode: 'down' | 'up'): void } }): Promise<void> {
  await delay(WATCH_MS)
  link.setMode('down')
  await delay(200)
  link.setMode('up')
  await delay(WATCH_MS)
}

function startedAfter(atMs: number, requests: readonly LinkRequest[]): readonly LinkRequest[] {
  return requests.filter((request) => request.tokenDigest !== null && request.startedAtMs > atMs)
}
