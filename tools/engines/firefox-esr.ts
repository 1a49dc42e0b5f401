import { defineBrowserProvider } from '@vitest/browser'
import { type Browser, launch } from 'puppeteer-core'
import type { BrowserProvider, BrowserProviderOption, TestProject } from 'vitest/node'
import { acceptViewports } from './accept-viewports.ts'

export const FIREFOX_PATH = '/usr/bin/firefox-esr'

/** Runs Vitest's browser tests in Debian's Firefox ESR, by WebDriver BiDi. No locators, no user events: for storage, locks and crypto. */
export function firefoxEsr(): BrowserProviderOption {
  return defineBrowserProvider({
    name: 'firefox-esr',
    supportedBrowser: ['firefox'],
    providerFactory: (project) => new FirefoxEsr(project),
  })
}

class FirefoxEsr implements BrowserProvider {
  readonly name = 'firefox-esr'
  readonly supportsParallelism = false
  #launching: Promise<Browser> | undefined

  constructor(project: TestProject) {
    acceptViewports(project)
  }

  getCommandsContext(): Record<string, unknown> {
    return {}
  }

  async openPage(_sessionId: string, url: string): Promise<void> {
    this.#launching ??= launch({
      browser: 'firefox',
      executablePath: FIREFOX_PATH,
      headless: true,
      // Vitest's page holds more than one import map.
      extraPrefsFirefox: { 'dom.multiple_import_maps.enabled': true },
    })
    const page = await (await this.#launching).newPage()
    await page.goto(url)
  }

  async close(): Promise<void> {
    const launching = this.#launching
    this.#launching = undefined
    await (await launching)?.close()
  }
}
