import { expect, test } from 'vitest'
import {
  installed,
  notesAtServer,
  openBrowser,
  openFieldbook,
  portOf,
  register,
  somebody,
  startFieldbookProcess,
  startServer,
  temporaryFolder,
  waitForNotes,
  waitForPending,
  waitForStatus,
  writeDown,
} from './station.ts'

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'G3: signed in and at work after a restart of the browser with no server at all (%s), and nothing is lost when it is back',
  async (signal) => {
    const [serverData, profile] = [await temporaryFolder(), await temporaryFolder()]
    const server = await startServer(serverData)
    const fieldbook = await startFieldbookProcess(server)
    const anna = somebody()
    let browser = await openBrowser(profile)
    let page = await openFieldbook(browser, fieldbook.url)
    await register(page, anna)
    await writeDown(page, 'Before the storm')
    await waitForPending(page, 0)
    await waitForStatus(page, 'Online')
    await installed(page)

    await server.stop(signal)
    await fieldbook.stop(signal)
    await browser.close()
    browser = await openBrowser(profile)
    page = await openFieldbook(browser, fieldbook.url)

    await waitForNotes(page, ['Before the storm'])
    await page.getByText(anna.email).first().waitFor()
    await writeDown(page, 'In the storm')
    await writeDown(page, 'Still in the storm')
    await waitForPending(page, 2)
    await waitForStatus(page, 'Offline')
    await page.getByRole('link', { name: 'Station records' }).click()
    await page.getByText('344 records').waitFor()

    const serverAgain = await startServer(serverData, { port: portOf(server) })
    await startFieldbookProcess(serverAgain, portOf(fieldbook))
    await waitForPending(page, 0)

    expect(await notesAtServer(serverAgain, anna)).toEqual(['Before the storm', 'In the storm', 'Still in the storm'])
  },
)
