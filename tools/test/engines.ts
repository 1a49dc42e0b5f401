import { existsSync } from 'node:fs'
import { FIREFOX_PATH } from '../engines/firefox-esr.ts'
import { WEBKIT_DRIVER_PATH, XVFB_PATH } from '../engines/webkit-driver.ts'
import { installDebianPackages } from './debian-packages.ts'

/** Installs Firefox ESR where that may be done. @returns why there is none, `undefined` when it is there */
export function provideFirefox(): string | undefined {
  return provide('Firefox ESR', ['firefox-esr'], [FIREFOX_PATH])
}

/** Installs WebKitGTK's driver, with the browser it drives, and a screen for it. @returns why there is none, `undefined` when it is there */
export function provideWebKit(): string | undefined {
  return provide('WebKitGTK', ['webkit2gtk-driver', 'xvfb'], [WEBKIT_DRIVER_PATH, XVFB_PATH])
}

function provide(name: string, packages: readonly string[], programs: readonly string[]): string | undefined {
  const isThere = () => programs.every((program) => existsSync(program))
  if (isThere()) return undefined
  const refusal = installDebianPackages(packages)
  return isThere() ? undefined : `there is no ${name} here; ${refusal ?? 'it could not be installed (see above)'}`
}
