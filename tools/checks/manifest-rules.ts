/** A package.json, as far as the rules look at it. */
export type Manifest = Partial<Record<'dependencies' | 'devDependencies' | 'optionalDependencies', Record<string, string>>>

/** The sentences about dependencies that are not pinned to one exact version. Peers are ranges by nature. */
export function unpinnedDependencies(path: string, manifest: Manifest): string[] {
  const { dependencies, devDependencies, optionalDependencies } = manifest
  return Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    .filter(([, version]) => !/^(\d+\.\d+\.\d+(-[\w.]+)?|workspace:\*)$/.test(version))
    .map(([name, version]) => `${path}: ${name} is '${version}'; pin one exact version`)
}

/** A lockfile that names hosts installs only where those hosts can be reached. */
export function hostsInLockfile(lockfile: string): string[] {
  return lockfile.split('\n').flatMap((line, index) => {
    return /tarball:|https?:\/\//.test(line) && !line.includes('deprecated:')
      ? [`pnpm-lock.yaml:${index + 1}: names a host: ${line.trim()}`]
      : []
  })
}
