import { defineBrowserProvider } from '@vitest/browser'
import type { BrowserProvider, BrowserProviderOption, TestProject } from 'vitest/node'

/** A browser that Vitest has no provider for. */
export interface Engine {
  readonly name: string
  readonly browser: 'firefox' | 'webkit'
  /** Opens the page, in a new browser if need be. */
  open(url: string): Promise<void>
  close(): Promise<void>
}

/** Runs Vitest's browser tests in that engine. No locators, no user events: for storage, locks and crypto. */
export function engineProvider(create: () => Engine): BrowserProviderOption {
  const { name, browser } = create()
  return defineBrowserProvider({
    name,
    supportedBrowser: [browser],
    providerFactory: (project) => new EngineProvider(project, create()),
  })
}

class EngineProvider implements BrowserProvider {
  readonly name: string
  readonly supportsParallelism = false
  readonly #engine: Engine

  constructor(project: TestProject, engine: Engine) {
    this.name = engine.name
    this.#engine = engine
    acceptViewports(project)
  }

  getCommandsContext(): Record<string, unknown> {
    return {}
  }

  openPage(_sessionId: string, url: string): Promise<void> {
    return this.#engine.open(url)
  }

  close(): Promise<void> {
    return this.#engine.close()
  }
}

/** Vitest sets the viewport before each file. These tests look at nothing, so any size will do. */
function acceptViewports({ browser }: TestProject): void {
  const register = browser?.registerCommand as ((name: string, command: () => void) => void) | undefined
  register?.call(browser, '__vitest_viewport', () => {})
}
