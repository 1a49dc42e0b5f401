import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, sep } from 'node:path'
import { brokenImportRules } from './import-rules.ts'
import { hostsInLockfile, type Manifest, unpinnedDependencies } from './manifest-rules.ts'
import { removeOrphanedOutput } from './orphaned-output.ts'
import { runCommand } from './run-command.ts'

export type StaticCheck = {
  name: string
  /** Whether it looks at `dist`, which the check `types` builds. */
  needsBuild?: true
  /** Resolves to what is wrong, empty when nothing is. */
  problems(): Promise<string>
}

const PUBLISHED = ['packages/auth-core', 'packages/session-cache', 'packages/sync-guard', 'packages/nightlatch', 'apps/server']

/** One entry is one test of `npm test`. A new check goes here. */
export function staticChecks(root: string): StaticCheck[] {
  const command = (name: string, bin: string, ...args: string[]): StaticCheck => ({
    name,
    problems: () => outputOfFailed(join(root, 'node_modules', '.bin', bin), args, root),
  })
  return [
    {
      name: 'types',
      // Forced, because `tsc -b` keeps its old findings when only tsconfig.base.json has changed.
      problems() {
        removeOrphanedOutput(root)
        return outputOfFailed(join(root, 'node_modules', '.bin', 'tsc'), ['-b', '--force'], root)
      },
    },
    command('format and lint', 'biome', 'ci', '--colors=off', '.'),
    command('type-aware lint and import cycles', 'oxlint', '--type-aware', '--deny-warnings', '.'),
    { name: 'import direction and file names', problems: async () => sourceProblems(root).join('\n') },
    { name: 'pinned dependencies', problems: async () => manifestProblems(root).join('\n') },
    { ...command('size budgets', 'size-limit'), needsBuild: true },
    ...PUBLISHED.map(
      (folder): StaticCheck => ({ name: `package ${folder}`, needsBuild: true, problems: () => packageProblems(root, folder) }),
    ),
  ]
}

function sourceProblems(root: string): string[] {
  return filesIn(root, '{packages,apps,tools}/**/*.{ts,tsx,js}').flatMap((path) =>
    brokenImportRules(path, readFileSync(join(root, path), 'utf8')),
  )
}

function manifestProblems(root: string): string[] {
  const manifests = ['package.json', ...filesIn(root, '{packages,apps,tools}/*/package.json')]
  return [
    ...manifests.flatMap((path) => unpinnedDependencies(path, JSON.parse(readFileSync(join(root, path), 'utf8')) as Manifest)),
    ...hostsInLockfile(readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')),
  ]
}

/** Looks at the package as its users get it: packed. */
async function packageProblems(root: string, folder: string): Promise<string> {
  const scratch = mkdtempSync(join(tmpdir(), 'nightlatch-pack-'))
  try {
    const tarball = join(scratch, 'package.tgz')
    const packed = await outputOfFailed('pnpm', ['pack', '--out', tarball], join(root, folder))
    if (packed) return packed
    const bin = join(root, 'node_modules', '.bin')
    const publint = await outputOfFailed(join(bin, 'publint'), ['--strict', tarball], root)
    const attw = await outputOfFailed(join(bin, 'attw'), [tarball, '--profile', 'esm-only'], root)
    return publint + attw
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function outputOfFailed(command: string, args: string[], cwd: string): Promise<string> {
  const { exitCode, output } = await runCommand(command, args, cwd)
  return exitCode === 0 ? '' : output || `${command} ended with ${exitCode}`
}

function filesIn(root: string, pattern: string): string[] {
  const skip = ['node_modules', 'dist']
  return globSync(pattern, { cwd: root, exclude: (path) => skip.some((name) => path.split(sep).includes(name)) }).map((path) =>
    path.split(sep).join('/'),
  )
}
