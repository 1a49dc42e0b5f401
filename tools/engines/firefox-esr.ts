import { type Browser, launch } from 'puppeteer-core'
import { type Engine, engineProvider } from './engine-provider.ts'

export const FIREFOX_PATH = '/usr/bin/firefox-esr'

/** Debian's Firefox ESR, by WebDriver BiDi. */
export const firefoxEsr = () => engineProvider(() => new FirefoxEsr())

class FirefoxEsr implements Engine {
  readonly name = 'firefox-esr'
  readonly browser = 'firefox'
  #launching: Promise<Browser> | undefined

  async open(url: string): Promise<void> {
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
