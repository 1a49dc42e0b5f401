import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { installDebianPackages } from './debian-packages.ts'

const programs = [
  { name: 'PostgreSQL', packages: ['postgresql'], isThere: hasPostgres },
  { name: 'nginx', packages: ['nginx-light'], isThere: () => existsSync('/usr/sbin/nginx') },
]

/** The server is tested on PostgreSQL and behind nginx, too. Where they are missing and may not be installed those tests are skipped. */
export function provideServerPrograms(): void {
  for (const { name, packages, isThere } of programs) {
    if (isThere()) continue
    const reason = installDebianPackages(packages)
    if (!isThere()) console.log(`Tests with ${name} are skipped: ${reason ?? 'it could not be installed (see above)'}.`)
  }
}

function hasPostgres(): boolean {
  const folder = '/usr/lib/postgresql'
  return existsSync(folder) && readdirSync(folder).some((major) => Number(major) >= 15 && existsSync(join(folder, major, 'bin', 'initdb')))
}
