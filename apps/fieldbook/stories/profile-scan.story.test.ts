import { setTimeout as delay } from 'node:timers/promises'
import { findOnDisk } from '@nightlatch/disk-scan'
import type { BrowserContext, Page } from 'playwright-core'
import { expect, test } from 'vitest'
import {
  installed,
  logIn,
  openBrowser,
  openFieldbook,
  type Person,
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

/** Short enough to be renewed at work. */
const ACCESS_LIFE_S = 8

/**
 * The browser's own password manager notes for which login name it offered to keep a password. No page can ask it not to, a person can switch it off,
 * and the password itself is not in there: only the address in these files is let through.
 */
const PASSWORD_MANAGER = /^[\w ()-]+ of e-mail address in \/Default\/Login Data( For Account)?(-journal)?$/

/** Longer than Chromium keeps back what it writes to its databases, caches and session files. */
const WRITTEN_MS = 3_000

test('C1: in the whole fieldbook no token, password, address or id reaches the disk in clear: at work, after a log-out, a log-in again and a restart', async () => {
  const profile = await temporaryFolder()
  const server = await startServer(await temporaryFolder(), { 'access-life-s': String(ACCESS_LIFE_S) })
  const fieldbook = await startFieldbookProcess(server)
  const anna = somebody()
  let browser = await openBrowser(profile)
  const secrets = secretsOf(anna)
  await secrets.listen(browser)
  const clean = async (moment: string) => {
    await delay(WRITTEN_MS)
    const hits = await findOnDisk(profile, secrets.seen())
    expect(
      hits.filter((hit) => !PASSWORD_MANAGER.test(hit)),
      moment,
    ).toEqual([])
  }

  let page = await openFieldbook(browser, fieldbook.url)
  await register(page, anna)
  await installed(page)
  await writeDown(page, 'Before the renewal')
  await delay(ACCESS_LIFE_S * 1_000)
  await writeDown(page, 'After the renewal')
  await waitForPending(page, 0)
  expect(secrets.count('access_token'), 'the session was renewed at work').toBeGreaterThan(1)
  expect(SECRET_NAMES.filter((name) => secrets.count(name) === 0)).toEqual([])
  await clean('at work')

  await logOut(page)
  await clean('after a log-out')

  await logIn(page, anna)
  await waitForNotes(page, ['Before the renewal', 'After the renewal'])
  await waitForStatus(page, 'Online')
  await clean('after logging in again')
  await browser.close()
  await clean('after the browser was closed')
  browser = await openBrowser(profile)
  await secrets.listen(browser)
  page = await openFieldbook(browser, fieldbook.url)
  await waitForNotes(page, ['Before the renewal', 'After the renewal'])
  await waitForStatus(page, 'Online')
  await clean('after a restart')

  // Documents are not sealed: what is written into one is found, so the scan looks in the right place.
  await writeDown(page, anna.password)
  await waitForPending(page, 0)
  await expect.poll(() => findOnDisk(profile, { canary: anna.password }), { timeout: 20_000 }).not.toEqual([])
})

/** What nobody who has the disk may read: the person's own, and whatever the server answers that names the person, the session or the device. */
function secretsOf({ email, password }: Person) {
  const found = new Map<string, string>([
    ['e-mail address', email],
    ['password', password],
  ])
  const note = (answer: string) => {
    for (const [name, value] of namedStrings(JSON.parse(answer)))
      if (SECRET_NAMES.includes(name)) found.set(`${name} ${value.slice(-6)}`, value)
  }
  return {
    /** Every answer to a log-in or refresh in any page of the browser. By the page's own `fetch`, so that the browser caches what it would cache. */
    async listen(browser: BrowserContext) {
      await browser.exposeFunction('noteAnswer', note)
      await browser.addInitScript(noteAnswers)
    },
    seen: (): Readonly<Record<string, string>> => Object.fromEntries([...found].flatMap(withPartsOfTokens)),
    /** How many different ones of that name were seen. */
    count: (name: string) => [...found.keys()].filter((seen) => seen.startsWith(name)).length,
  }
}

/** Runs in the page. */
function noteAnswers(): void {
  const { fetch, noteAnswer } = globalThis as typeof globalThis & { noteAnswer(answer: string): void }
  globalThis.fetch = async (input, init) => {
    const response = await fetch(input, init)
    if (new URL(response.url).pathname.startsWith('/v1/auth/')) noteAnswer(await response.clone().text())
    return response
  }
}

const SECRET_NAMES = ['access_token', 'refresh_token', 'revoke_handle', 'user_id', 'session_id', 'device_id', 'unlock_key']

/** Every string in an answer with its name there, however deep. */
function namedStrings(value: unknown, name = ''): readonly (readonly [name: string, text: string])[] {
  if (typeof value === 'string') return [[name, value]]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([inner, content]) => namedStrings(content, inner))
}

/** A token may be written in pieces: its claims and its signature are looked for by themselves, too. */
function withPartsOfTokens([name, value]: [string, string]): (readonly [string, string])[] {
  const parts = /token|handle/.test(name) ? value.split('.').filter((part) => part.length >= 16) : []
  return [[name, value], ...parts.map((part, place) => [`part ${place} of ${name}`, part] as const)]
}

async function logOut(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('heading', { name: 'Log in', exact: true }).waitFor()
}
