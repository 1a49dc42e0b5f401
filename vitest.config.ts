import { playwright } from '@vitest/browser-playwright'
import { defaultClientConditions, defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'

/** Tests read the packages' sources, so none of them needs a build. */
const source = 'nightlatch-source'

export default defineConfig({
  resolve: { conditions: [source, ...defaultClientConditions] },
  ssr: { resolve: { conditions: [source, ...defaultServerConditions] } },
  /** Tests load these by a name that Vite does not see; found late, their dependencies make it reload the page under a running test. */
  optimizeDeps: { entries: ['packages/auth-core/src/http/index.ts'] },
  test: {
    passWithNoTests: false,
    // Generous: a busy machine is no failed test, and a hung one is still found.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    /** RxDB prints an advertisement with the first write of each realm. */
    onConsoleLog: (log) => !log.includes('RxDB Open Core'),
    projects: [
      {
        extends: true,
        test: {
          name: 'node',
          environment: 'node',
          include: ['packages/*/src/**/*.test.ts', 'apps/*/{src,seed,serve}/**/*.test.ts', 'tools/**/*.test.ts'],
          exclude: ['**/*.browser.test.ts', '**/*.story.test.ts', '**/node_modules/**', '**/dist/**'],
          maxWorkers: 2, // half of the files wait for servers and timers
        },
      },
      {
        extends: true,
        test: {
          name: 'chromium',
          include: ['packages/*/src/**/*.browser.test.ts'],
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
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
              },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
      {
        extends: true,
        test: {
          name: 'stories',
          globalSetup: ['apps/fieldbook/stories/build-pages.ts'],
          environment: 'node',
          include: ['apps/*/**/*.story.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          maxWorkers: 2, // they mostly wait
        },
      },
    ],
  },
})
