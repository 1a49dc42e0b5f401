import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/**
 * Installs Debian packages where that may be done unasked: as root, and in continuous integration.
 *
 * @returns why nothing was installed, as the command that somebody who may can run; `undefined` when it was tried
 */
export function installDebianPackages(packages: readonly string[]): string | undefined {
  const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`
  if (!isDebian()) return 'it is installed by itself on Debian only'
  const asRoot = isRoot() ? [] : process.env.CI ? ['sudo', '-n'] : undefined
  if (!asRoot) return `install it with: sudo ${command}`
  console.log(`Installing ${packages.join(', ')}…`)
  installWithApt(asRoot, packages)
  return undefined
}

/** The second round is for an earlier installation that was interrupted. */
function installWithApt(asRoot: readonly string[], packages: readonly string[]): void {
  const waitForOthers = ['-o', 'DPkg::Lock::Timeout=300', '-qq']
  const installing = ['apt-get', ...waitForOthers, 'install', '-y', '--no-install-recommends', ...packages]
  run([...asRoot, 'apt-get', ...waitForOthers, 'update'])
  if (run([...asRoot, ...installing])) return
  run([...asRoot, 'dpkg', '--configure', '-a'])
  run([...asRoot, ...installing])
}

function run([command = '', ...args]: string[]): boolean {
  // Run level 1: a package that brings a service does not start it.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
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
