import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  logIn,
  notesAtServer,
  notesOn,
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

test('S2, G3: at the end of the session sync halts with one login-required, the book stays open, and logging in again sends what was written', async () => {
  const server = await startServer(await temporaryFolder(), { 'access-life-s': '10', 'session-absolute-s': '40' })
  const fieldbook = await startFieldbookHere(server)
  const anna = somebody()
  const page = await openFieldbook(await openBrowser(await temporaryFolder()), fieldbook.url)
  await register(page, anna)
  await writeDown(page, 'While the session lives')
  await waitForPending(page, 0)

  await waitForStatus(page, 'Login required')
  const haltedAtMs = Date.now()
  await writeDown(page, 'After its end')
  await writeDown(page, 'Long after its end')
  await waitForPending(page, 2)
  await delay(5_000)

  const calls = fieldbook.link.requests.filter((request) => request.startedAtMs > haltedAtMs)
  expect(calls.filter((request) => request.path.startsWith('/v1/sync/'))).toEqual([])
  expect(await page.getByRole('list', { name: 'Log' }).getByText('Log in again to go on syncing').count()).toBe(1)
  expect(await notesAtServer(server, anna)).toEqual(['While the session lives'])
  await page.reload()
  await waitForNotes(page, ['While the session lives', 'After its end', 'Long after its end'])
  await waitForPending(page, 2)

  await page.getByRole('button', { name: 'Log in again' }).click()
  await logIn(page, anna)
  await waitForPending(page, 0)
  await waitForStatus(page, 'Online')

  const everything = ['After its end', 'Long after its end', 'While the session lives']
  expect(await notesAtServer(server, anna)).toEqual(everything)
  expect(await notesOn(page)).toEqual(everything)
})
