import { type Engine, engineProvider } from './engine-provider.ts'
import { openWebKitWindow, type WebKitWindow } from './webkit-driver.ts'

/** Debian's WebKitGTK, by WebDriver on a screen of its own. */
export const webkitGtk = () => engineProvider(() => new WebKitGtk())

class WebKitGtk implements Engine {
  readonly name = 'webkit-gtk'
  readonly browser = 'webkit'
  #window: Promise<WebKitWindow> | undefined

  async open(url: string): Promise<void> {
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
