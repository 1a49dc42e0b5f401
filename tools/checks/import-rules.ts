import { stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path/posix'

/** Who may import whom: apps -> nightlatch, react -> { session-cache, sync-guard } -> auth-core. */
const MAY_IMPORT: Record<string, string[]> = {
  'packages/auth-core': [],
  'packages/session-cache': ['@nightlatch/auth-core'],
  'packages/sync-guard': ['@nightlatch/auth-core'],
  'packages/nightlatch': ['@nightlatch/auth-core', '@nightlatch/session-cache', '@nightlatch/sync-guard'],
  'packages/react': ['nightlatch'],
  'apps/server': [],
  'apps/fieldbook': ['nightlatch', '@nightlatch/react'],
}

/** They import none of ours, so no test closes a circle with them. */
const FOR_TESTS = ['@nightlatch/server', '@nightlatch/disk-scan']

const VAGUE_NAMES = /^(utils?|helpers?|types|common|misc)\.(tsx?|js)$/

type Import = { specifier: string; carriesCode: boolean }

/**
 * The sentences about what one source file does that the repository layout forbids.
 *
 * @param path The file's path from the repository root, with forward slashes.
 */
export function brokenImportRules(path: string, source: string): string[] {
  const problems = importsOf(path, source).flatMap((found) => {
    const problem = problemWith(path, found)
    return problem ? [`${path}: '${found.specifier}': ${problem}`] : []
  })
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (VAGUE_NAMES.test(name)) problems.push(`${path}: ${name} becomes everybody's busiest file; name it after what it is about`)
  return problems
}

function problemWith(path: string, { specifier, carriesCode }: Import): string | undefined {
  const workspace = path.startsWith('tools/') ? 'tools' : path.split('/').slice(0, 2).join('/')
  const inTest = /\.test\.tsx?$/.test(path)
  const shipped = !inTest && !/\/(testing|bench|recipes)\//.test(path)

  if (specifier.startsWith('.')) {
    const target = join(dirname(path), specifier)
    if (!target.startsWith(`${workspace}/`)) return 'leaves its workspace; import the package by its name'
    if (shipped && carriesCode && target.includes('/testing/')) return 'shipped code does not import what is there for tests'
    if (path.startsWith('packages/auth-core/src/world/') && !inTest && !target.startsWith('packages/auth-core/src/world/'))
      return 'auth-core/world is a leaf: everybody imports it, it imports nothing'
    return
  }

  const ours = /^(nightlatch|@nightlatch\/[^/]+)(?:\/(.+))?$/.exec(specifier)
  if (!ours) return
  const [, packageName = '', subpath] = ours
  if (path.startsWith('packages/sync-guard/recipes/') && packageName === '@nightlatch/sync-guard') return // as a reader would write them
  if (inTest && FOR_TESTS.includes(packageName)) return
  if (packageName === 'nightlatch' && path.startsWith('packages/nightlatch/readme/')) return // the README's examples, as a reader runs them
  const allowed = MAY_IMPORT[workspace]
  if (allowed && !allowed.includes(packageName)) return `${workspace} may import ${allowed.join(', ') || 'none of our packages'}`
  if (shipped && carriesCode && subpath === 'testing') return 'shipped code does not import what is there for tests'
  if (workspace === 'packages/sync-guard' && shipped && carriesCode && subpath !== 'world')
    return 'sync-guard imports types of auth-core, and code only from @nightlatch/auth-core/world'
  return
}

function importsOf(path: string, source: string): Import[] {
  // A .tsx file cannot be stripped: there every import but `import type` counts as code.
  const code = path.endsWith('.tsx') ? source.replaceAll(/^\s*(import|export)\s+type\s/gm, '// ') : stripTypeScriptTypes(source)
  const carryingCode = new Set(specifiersIn(code))
  return [...new Set(specifiersIn(source))].map((specifier) => ({ specifier, carriesCode: carryingCode.has(specifier) }))
}

/** Anchored at the line's start, so that examples in comments do not count. */
const STATEMENT = /^[ \t]*(?:import|export)\s+(?:[\w*$\s{},]+\sfrom\s+)?['"]([^'"]+)['"]/gm
const EXPRESSION = /\bimport\(\s*['"]([^'"]+)['"]/g

function specifiersIn(code: string): string[] {
  return [STATEMENT, EXPRESSION].flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ''))
}
