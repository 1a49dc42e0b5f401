import { defaultClientConditions } from 'vite'
import { defineConfig } from 'vitest/config'
import { firefoxEsr } from './tools/engines/firefox-esr.ts'
import { webkitGtk } from './tools/engines/webkit-gtk.ts'

/** The tests that run inside Chromium with every `npm test`, inside the two other engines: `npm run test:deep`. */
export default defineConfig({
  resolve: { conditions: ['nightlatch-source', ...defaultClientConditions] },
  /** Tests load these by a name that Vite does not see; found late, their dependencies make it reload the page under a running test. */
  optimizeDeps: { entries: ['packages/auth-core/src/http/index.ts'] },
  test: {
    passWithNoTests: false,
    include: ['packages/*/src/**/*.browser.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    /** RxDB prints an advertisement with the first write of each realm. */
    onConsoleLog: (log) => !log.includes('RxDB Open Core'),
    projects: [
      {
        extends: true,
        test: {
          name: 'firefox',
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: firefoxEsr(),
            instances: [{ browser: 'firefox' }],
          },
        },
      },
      {
        extends: true,
        test: {
          name: 'webkit',
          // Headless only to Vitest: the window is on a screen of its own.
          browser: { enabled: true, headless: true, screenshotFailures: false, provider: webkitGtk(), instances: [{ browser: 'webkit' }] },
        },
      },
    ],
  },
})
