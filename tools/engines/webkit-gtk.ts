import { defineBrowserProvider } from '@vitest/browser'
import type { BrowserProvider, BrowserProviderOption, TestProject } from 'vitest/node'
import { acceptViewports } from './accept-viewports.ts'
import { openWebKitWindow, type WebKitWindow } from './webkit-driver.ts'

/** Runs Vitest's browser tests in Debian's WebKitGTK, by WebDriver on a screen of its own. Like `firefoxEsr`, no locators and no user events. */
export function webkitGtk(): BrowserProviderOption {
  return defineBrowserProvider({
    name: 'webkit-gtk',
    supportedBrowser: ['webkit'],
    providerFactory: (project) => new WebKitGtk(project),
  })
}

class WebKitGtk implements BrowserProvider {
  readonly name = 'webkit-gtk'
  readonly supportsParallelism = false
  #window: Promise<WebKitWindow> | undefined

  constructor(project: TestProject) {
    acceptViewports(project)
  }

  getCommandsContext(): Record<string, unknown> {
    return {}
  }

  async openPage(_sessionId: string, url: string): Promise<void> {
    await this.close() // a driver has one session
    this.#window = openWebKitWindow()
    await (await this.#window).goTo(url)
  }

  async close(): Promise<void> {
    const open = this.#window
    this.#window = undefined
    await (await open)?.close()
  }
}
