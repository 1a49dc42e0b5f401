import { expect, test } from 'vitest'
import { hostsInLockfile, unpinnedDependencies } from './manifest-rules.ts'

test('refuses a dependency range, accepts exact and workspace versions', () => {
  const manifest = { dependencies: { jose: '6.2.17', '@nightlatch/auth-core': 'workspace:*' }, devDependencies: { rxdb: '^17.6.0' } }

  expect(unpinnedDependencies('packages/x/package.json', manifest)).toEqual([
    "packages/x/package.json: rxdb is '^17.6.0'; pin one exact version",
  ])
})

test('refuses a lockfile that names a host', () => {
  const lockfile = [
    'packages:',
    '  jose@6.2.17:',
    '    resolution: {integrity: sha512-abc, tarball: https://packages.example.org/jose.tgz}',
  ].join('\n')

  expect(hostsInLockfile(lockfile)).toEqual([expect.stringContaining('pnpm-lock.yaml:3: names a host')])
  expect(hostsInLockfile('  jose@6.2.17:\n    resolution: {integrity: sha512-abc}')).toEqual([])
})
