import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

export type Chromium = { path: string } | { path: undefined; missingBecause: string }

const USUAL_PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

const INSTALL = 'apt-get install -y --no-install-recommends chromium'

/** Finds a Chromium that starts. On Debian, root and continuous integration get one installed where there is none. */
export function provideChromium(): Chromium {
  const named = process.env.CHROMIUM_PATH
  if (named) return starts(named) ? { path: named } : { path: undefined, missingBecause: `CHROMIUM_PATH is ${named}, which does not start` }
  const found = findChromium()
  if (found) return found
  if (!isDebian()) return { path: undefined, missingBecause: 'there is no Chromium here; install one, or name it in CHROMIUM_PATH' }

  const asRoot = isRoot() ? [] : process.env.CI ? ['sudo', '-n'] : undefined
  if (!asRoot) return { path: undefined, missingBecause: `there is no Chromium here; install it with: sudo ${INSTALL}` }
  console.log('Installing Chromium…')
  installWithApt(asRoot)
  return findChromium() ?? { path: undefined, missingBecause: `Chromium could not be installed (see above); try: ${INSTALL}` }
}

function findChromium(): Chromium | undefined {
  const path = USUAL_PATHS.find(starts)
  return path ? { path } : undefined
}

function starts(path: string): boolean {
  return existsSync(path) && spawnSync(path, ['--version'], { stdio: 'ignore', timeout: 20_000 }).status === 0
}

/** The second round is for an earlier installation that was interrupted. */
function installWithApt(asRoot: string[]): void {
  const waitForOthers = ['-o', 'DPkg::Lock::Timeout=300', '-qq']
  const installing = ['apt-get', ...waitForOthers, 'install', '-y', '--no-install-recommends', 'chromium']
  run([...asRoot, 'apt-get', ...waitForOthers, 'update'])
  if (run([...asRoot, ...installing])) return
  run([...asRoot, 'dpkg', '--configure', '-a'])
  run([...asRoot, ...installing])
}

function run([command = '', ...args]: string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const { status, error, stdout, stderr } = spawnSync(command, args, { env, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  if (status !== 0) console.log(`${command} ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`.trim()}`)
  return status === 0
}

function isDebian(): boolean {
  return existsSync('/etc/os-release') && /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'))
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}
