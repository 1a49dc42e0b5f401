import type { TestProject } from 'vitest/node'

/** Vitest sets the viewport before each file. These tests look at nothing, so any size will do. */
export function acceptViewports({ browser }: TestProject): void {
  const register = browser?.registerCommand as ((name: string, command: () => void) => void) | undefined
  register?.call(browser, '__vitest_viewport', () => {})
}
