import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findOnDisk } from '@nightlatch/disk-scan'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PageActions, PersonalSecrets } from './page-actions.ts'
import { hasChromium, openProfile, type ProfileBrowser, servePage } from './real-profile.ts'

/** More in the long run: `NIGHTLATCH_KILLS=200`. */
const kills = Number(process.env.NIGHTLATCH_KILLS ?? 4)

const secrets: PersonalSecrets = {
  userId: 'canary-user-id-4f1c',
  email: 'canary.ann+"quoted"@example.org',
  password: 'canary-päßword-77ab',
  label: 'Canary Ann Observer',
  accessToken: 'canary-access-token-9d3e',
  refreshToken: 'v1.canary-refresh-token-1b2c',
  revokeHandle: 'r1.canary-revoke-handle-5e6f',
  custom: 'canary-custom-data-8a7b',
}

describe.skipIf(!hasChromium)('a real browser profile', () => {
  let server: Awaited<ReturnType<typeof servePage>>
  const profiles: string[] = []

  beforeAll(async () => {
    server = await servePage(fileURLToPath(new URL('./page-actions.ts', import.meta.url)))
  }, 60_000)
  afterAll(async () => {
    await server.close()
    for (const profile of profiles) await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  })
  const newProfile = async () => {
    const profile = await mkdtemp(join(tmpdir(), 'nightlatch-profile-'))
    profiles.push(profile)
    return profile
  }

  test('C1: holds nothing of the person in clear: while running, after a lock, a log-out and a removal, and after the browser was closed', async () => {
    const profile = await newProfile()
    let browser = await openProfile(profile, server.url)
    const clean = async (moment: string) => expect(await findOnDisk(profile, { ...secrets }), moment).toEqual([])

    await run(browser, (page, known) => page.logIn(known))
    await run(browser, (page, known) => page.refresh(known, 40))
    await clean('while running')
    await run(browser, (page) => page.lock())
    await run(browser, (page, { password }) => page.unlock(password))
    await clean('after lock and unlock')
    await browser.close()
    await clean('after the browser was closed')
    browser = await openProfile(profile, server.url)
    expect(await run(browser, (page) => page.read())).toMatchObject({
      generation: 41,
      vault: { kind: 'open', contents: { userId: secrets.userId } },
    })
    await run(browser, (page) => page.logOut())
    await clean('after a log-out')
    await run(browser, (page, known) => page.logIn(known))
    await run(browser, (page) => page.remove())
    await clean('after a removal')

    await run(browser, (page, { custom }) => page.writeInClear(custom))
    expect((await findOnDisk(profile, { custom: secrets.custom })).length, 'the scan sees what is there').toBeGreaterThan(0)
    await browser.close()
    expect((await findOnDisk(profile, { ...secrets })).every((hit) => hit.includes('custom'))).toBe(true)
  }, 120_000)

  test('stay "unlock": a second tab gets the key from the first, a lock closes both, and a restart opens nothing', async () => {
    const profile = await newProfile()
    let browser = await openProfile(profile, `${server.url}?stay=unlock`)
    const vaultIn = async (page: Page) => (await run({ page }, (actions) => actions.read()))?.vault.kind
    await run(browser, (page, known) => page.logIn(known))

    const second = await browser.openTab()
    expect(await vaultIn(second)).toBe('open')
    await run({ page: second }, (page) => page.lock())
    expect([await vaultIn(browser.page), await vaultIn(second)]).toEqual(['sealed', 'sealed'])
    await run(browser, (page, { password }) => page.unlock(password))
    await expect.poll(() => vaultIn(second)).toBe('open')

    await browser.close()
    browser = await openProfile(profile, `${server.url}?stay=unlock`)
    expect(await vaultIn(browser.page)).toBe('sealed')
    await run(browser, (page, { password }) => page.unlock(password))
    expect(await vaultIn(browser.page)).toBe('open')
    await browser.close()
  }, 60_000)

  test(`R-2, R-20: killed at a random moment of a save, ${kills} times: the record is old or new, never broken`, async () => {
    const profile = await newProfile()
    let browser = await openProfile(profile, server.url)
    await run(browser, (page, known) => page.logIn(known))
    for (let round = 0; round < kills; round += 1) {
      let acknowledged = 0
      await browser.page.exposeFunction('tell', (generation: number) => {
        acknowledged = generation
      })
      const killed = run(browser, (page, known) =>
        page.refreshForEver(known, (globalThis as unknown as { tell: (n: number) => void }).tell),
      ).catch(() => {})
      await expect.poll(() => acknowledged, { timeout: 10_000 }).toBeGreaterThan(0)
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 150))
      await browser.kill()
      await killed

      browser = await openProfile(profile, server.url)
      const record = await run(browser, (page) => page.read())

      expect(record?.generation).toBeGreaterThanOrEqual(acknowledged)
      expect(record?.vault).toMatchObject({
        kind: 'open',
        contents: { userId: secrets.userId, session: { accessToken: `${secrets.accessToken}.${record?.generation}` } },
      })
    }
    await browser.close()
  }, 600_000)
})

/** Runs one of the page's actions in the page. */
function run<T>(browser: Pick<ProfileBrowser, 'page'>, act: (page: PageActions, known: PersonalSecrets) => T): Promise<Awaited<T>> {
  return browser.page.evaluate(`(${act.toString()})(globalThis.page, ${JSON.stringify(secrets)})`)
}
