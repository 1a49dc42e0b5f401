import { expect, test } from 'vitest'
import {
  logIn,
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
  writeDown,
} from './station.ts'

test('what a person writes down arrives for the same account on a second device', async () => {
  const server = await startServer(await temporaryFolder())
  const fieldbook = await startFieldbookHere(server)
  const anna = somebody()
  const first = await openFieldbook(await openBrowser(await temporaryFolder()), fieldbook.url)
  await register(first, anna)
  await writeDown(first, 'Three chicks, all standing')
  await writeDown(first, 'Skua over the colony')
  await waitForPending(first, 0)

  const second = await openFieldbook(await openBrowser(await temporaryFolder()), fieldbook.url)
  await logIn(second, anna)
  await waitForNotes(second, ['Three chicks, all standing', 'Skua over the colony'])

  await writeDown(second, 'Seen from the other hut')
  await waitForNotes(first, ['Seen from the other hut'])
  expect(await notesOn(first)).toEqual(['Seen from the other hut', 'Skua over the colony', 'Three chicks, all standing'])
})

test('the station’s 344 records come with the first sync, and nobody else’s observations', async () => {
  const server = await startServer(await temporaryFolder())
  const fieldbook = await startFieldbookHere(server)
  const [anna, bo] = [somebody(), somebody()]
  const annas = await openFieldbook(await openBrowser(await temporaryFolder()), fieldbook.url)
  await register(annas, anna)
  await writeDown(annas, 'For Anna only')
  await waitForPending(annas, 0)

  const bos = await openFieldbook(await openBrowser(await temporaryFolder()), fieldbook.url)
  await register(bos, bo)
  await bos.getByRole('link', { name: 'Station records' }).click()
  await bos.getByText('344 records').waitFor()
  await bos.getByRole('searchbox', { name: 'Search' }).fill('chinstrap')
  await bos.getByText('68 of 344 records').waitFor()
  await bos.getByRole('link', { name: 'Measurements' }).click()
  await bos.getByRole('img', { name: /Flipper length by species/ }).waitFor()
  await bos.getByRole('link', { name: 'Observations' }).click()

  await bos.getByText('Nothing written down yet').waitFor()
})
