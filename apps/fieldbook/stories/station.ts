/** What the stories share: a server, the fieldbook in front of it, browsers with profiles that survive a restart, and a person's hands. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { chromium } from 'playwright-core'
import { onTestFinished } from 'vitest'
import type { FieldbookServer } from '../serve/fieldbook-server.ts'
import { startFieldbook } from '../serve/fieldbook-server.ts'
import type { RunningProgram } from './running-program.ts'
import { startProgram } from './running-program.ts'

const CHROMIUM = {
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
}

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nightlatch-story-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export type ServerFlags = Readonly<Record<string, string | true>>

/** The reference server with the fieldbook's collections on a free port, or again on the port it had. */
export async function startServer(dataFolder: string, flags: ServerFlags = {}): Promise<RunningProgram> {
  const server = await startProgram('apps/server/src/main.ts', {
    port: '0',
    data: dataFolder,
    config: 'apps/fieldbook/server.json',
    'dev-routes': true,
    ...flags,
  })
  onTestFinished(() => server.stop())
  return server
}

/** The fieldbook as a process, for stories that stop it. */
export async function startFieldbookProcess(server: RunningProgram, port = '0'): Promise<RunningProgram> {
  const fieldbook = await startProgram('apps/fieldbook/serve/main.ts', { port, server: server.url })
  onTestFinished(() => fieldbook.stop())
  return fieldbook
}

/** The fieldbook in this process, for stories that look at its link. */
export async function startFieldbookHere(server: RunningProgram, distDir?: string): Promise<FieldbookServer> {
  const fieldbook = await startFieldbook({ port: 0, server: server.url, ...(distDir ? { distDir } : {}) })
  onTestFinished(() => fieldbook.close())
  return fieldbook
}

export const portOf = ({ url }: { readonly url: string }): string => new URL(url).port

/** A browser with the profile in `folder`: opened again on the same folder, it is the same browser after a restart. */
export async function openBrowser(folder: string): Promise<BrowserContext> {
  const browser = await chromium.launchPersistentContext(folder, { ...CHROMIUM, viewport: { width: 1280, height: 860 } })
  onTestFinished(() => browser.close())
  return browser
}

/** Opens the fieldbook in the browser's first tab. */
export async function openFieldbook(browser: BrowserContext, url: string): Promise<Page> {
  const page = browser.pages()[0] ?? (await browser.newPage())
  await page.goto(url)
  return page
}

/** Waits until the service worker controls the page: from then on it opens without the fieldbook's server. */
export async function installed(page: Page): Promise<void> {
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null)
}

export interface Person {
  readonly email: string
  readonly password: string
}

export function somebody(): Person {
  return { email: `${crypto.randomUUID()}@station.example`, password: crypto.randomUUID() }
}

export async function register(page: Page, { email, password }: Person): Promise<void> {
  await page.getByRole('button', { name: 'No account yet? Create one' }).click()
  await page.getByLabel('E-mail address').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByRole('heading', { name: 'Observations' }).waitFor()
}

export async function logIn(page: Page, { email, password }: Person): Promise<void> {
  await page.getByLabel('E-mail address').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
}

/** Writes an observation with this note; resolves when it is stored on the device and shown. */
export async function writeDown(page: Page, note: string): Promise<void> {
  await page.getByLabel('Count').fill('3')
  await page.getByLabel('Note').fill(note)
  await page.getByRole('button', { name: 'Write down' }).click()
  await page.getByText(note, { exact: true }).waitFor()
}

/** The notes of the observations on the page. */
export async function notesOn(page: Page): Promise<string[]> {
  return (await page.locator('.entry-note').allInnerTexts()).toSorted()
}

export async function waitForNotes(page: Page, notes: readonly string[]): Promise<void> {
  for (const note of notes) await page.getByText(note, { exact: true }).waitFor()
}

/** Waits until the status bar shows this number of writes that the server has not acknowledged. */
export async function waitForPending(page: Page, count: number): Promise<void> {
  await page.getByTestId('pending').getByText(String(count), { exact: true }).waitFor()
}

export async function waitForStatus(page: Page, label: 'Online' | 'Offline' | 'Login required'): Promise<void> {
  await page.locator('.status').getByText(label, { exact: true }).waitFor({ timeout: 60_000 })
}

/** The notes that the server has for this person, asked for without the fieldbook. */
export async function notesAtServer(server: { readonly url: string }, { email, password }: Person): Promise<string[]> {
  const login = await fetch(`${server.url}/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ provider: 'email-password', email, password }),
  })
  const { access_token: token } = (await login.json()) as { access_token: string }
  const pull = await fetch(`${server.url}/v1/sync/observations/0/pull?scope=mine&limit=1000`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const { documents } = (await pull.json()) as { documents: { note: string; _deleted: boolean }[] }
  return documents
    .filter((document) => !document._deleted)
    .map((document) => document.note)
    .toSorted()
}
