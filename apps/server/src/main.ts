#!/usr/bin/env node
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { sendCommand } from './admin/admin-socket.ts'
import { type AdminCommand, adminUsage, commandProblem, readAdminCommand } from './admin/commands.ts'
import { moveData } from './admin/move-data.ts'
import { ConfigProblem, type Hooks, jsonLog, type ServerOptions, startServer } from './index.ts'
import { describeSettings, readSettings, type Settings } from './settings.ts'
import { administer } from './start-server.ts'

const usage = `nightlatch-server: accounts, tokens and RxDB sync for Nightlatch apps

  nightlatch-server [settings]                 serves
  nightlatch-server export FILE [settings]     writes everything but the key file to FILE
  nightlatch-server import FILE [settings]     fills an empty database from FILE

  --config FILE.json            NIGHTLATCH_CONFIG                   the collections, and a "server" part with settings
  --hooks FILE.mjs              NIGHTLATCH_HOOKS                    default-exports who may read and write what, by collection
${describeSettings()}

Administration, also while the server runs:

${adminUsage}`

/** Errors that say what to do. */
const sentences = new Set([
  'ConfigProblem',
  'DirectoryInUse',
  'KeyFileProblem',
  'WrongEngine',
  'WrongIssuer',
  'NotDurable',
  'UnsupportedPostgres',
  'ImportRefused',
])

try {
  await main()
} catch (error) {
  if (!isForPeople(error)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}

async function main(): Promise<void> {
  const administration = readAdminCommand(process.argv.slice(2), process.cwd())
  const { settings, config, hooks, help, words } = readSettings(administration?.settings ?? process.argv.slice(2), process.env)
  if (help) {
    process.stdout.write(usage)
    return
  }
  if (administration) {
    const options = toOptions(settings, config, hooks === undefined ? {} : await loadHooks(hooks))
    const done = await administrate(options, administration.command)
    if (!done) process.exitCode = 1
    return
  }
  const [command, file, ...rest] = words
  if (command === 'export' || command === 'import') {
    if (file === undefined || rest.length > 0) throw new ConfigProblem(`Use: nightlatch-server ${command} FILE`)
    await moveData(command, file, placeOf(settings), (line) => process.stderr.write(line))
    return
  }
  if (command !== undefined) throw new ConfigProblem(`There is no command "${command}". Try --help.`)
  await serve(toOptions(settings, config, hooks === undefined ? {} : await loadHooks(hooks)))
}

/** By the running server, if there is one on this directory; else on the database itself. */
async function administrate(options: ServerOptions, command: AdminCommand): Promise<boolean> {
  const tell = { out: (text: string) => void process.stdout.write(text), err: (text: string) => void process.stderr.write(text) }
  const done = await sendCommand(options.dataDir, command, tell)
  if (done !== undefined) return done
  try {
    await administer(options, command, tell)
    return true
  } catch (error) {
    const problem = commandProblem(error)
    if (problem === undefined) throw error
    tell.err(`${problem}\n`)
    return false
  }
}

async function serve(options: ServerOptions): Promise<void> {
  const server = await startServer({ ...options, adminSocket: true, log: jsonLog((line) => process.stderr.write(line)) })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void server.close().then(() => process.exit(0)))
  }
  process.stdout.write(`${JSON.stringify({ ready: true, url: server.url, metricsUrl: server.metricsUrl })}\n`)
}

function placeOf({ data = './nightlatch-data', databaseUrl, poolSize }: Settings) {
  return { dataDir: data, databaseUrl, poolSize }
}

function toOptions(settings: Settings, config: string | undefined, hooks: Hooks): ServerOptions {
  const { credentialsPerMinute = 300, requestsPerMinute = 6000, accessLifeS, sessionIdleS, sessionAbsoluteS, anonymousIdleS } = settings
  return withoutUndefined({
    ...placeOf(settings),
    port: settings.port ?? 4400,
    host: settings.host,
    keyFile: settings.keyFile,
    issuer: settings.issuer,
    config,
    hooks,
    origins: settings.origin,
    devRoutes: settings.devRoutes,
    proxyHops: settings.proxyHops,
    metricsPort: settings.metricsPort,
    limits: { credentialsPerMinute, requestsPerMinute },
    lifetimes: withoutUndefined({ accessS: accessLifeS, sessionIdleS, sessionAbsoluteS, anonymousIdleS }),
  })
}

async function loadHooks(path: string): Promise<Hooks> {
  const module: unknown = await import(pathToFileURL(resolve(path)).href)
  const hooks = typeof module === 'object' && module !== null && 'default' in module ? module.default : undefined
  if (typeof hooks !== 'object' || hooks === null) throw new ConfigProblem(`${path} must default-export hooks by collection.`)
  return hooks as Hooks
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

function withoutUndefined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>
}

/** Mistakes of whoever starts the server get a sentence; everything else gets its stack. */
function isForPeople(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return (
    sentences.has(error.name) ||
    code.startsWith('ERR_PARSE_ARGS') ||
    ['EADDRINUSE', 'EACCES', 'ECONNREFUSED', 'EEXIST', 'ENOENT'].includes(code)
  )
}
