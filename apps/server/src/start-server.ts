import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import type { AccountHooks } from './accounts/account-hooks.ts'
import { openAccounts } from './accounts/accounts.ts'
import { loadAccountHooks } from './accounts/load-hooks.ts'
import { type HashCost, PasswordHasher } from './accounts/password-hasher.ts'
import { Admin } from './admin/admin.ts'
import { listenForCommands } from './admin/admin-socket.ts'
import { type AdminCommand, type CommandContext, runAdminCommand } from './admin/commands.ts'
import { createApp } from './app.ts'
import { type Hooks, loadConfig, type ServerConfig } from './config.ts'
import { migrateToLatest } from './database/migrate.ts'
import { type OpenDatabase, openDatabase } from './database/open-database.ts'
import { readServerIdentity } from './database/server-identity.ts'
import { StatementHook } from './database/statement-hook.ts'
import { type Log, silentLog } from './log.ts'
import { Metrics } from './operations/metrics.ts'
import { openApiDocument } from './operations/openapi.ts'
import { type LimitSettings, RequestLimits } from './operations/request-limits.ts'
import { allRoutes } from './routes/all-routes.ts'
import type { Services } from './services.ts'
import { loadSeeds } from './sync/seed.ts'
import { StreamHub } from './sync/stream-hub.ts'
import { Sweep } from './sync/sweep.ts'
import { AccessTokens } from './tokens/access-token.ts'
import { defaultLifetimes, type Lifetimes } from './tokens/lifetimes.ts'
import { loadServerKeys } from './tokens/server-keys.ts'
import { SigningKeys } from './tokens/signing-keys.ts'

export interface ServerOptions {
  /** Holds the key file and, unless `databaseUrl` names one, the database. Created if missing. */
  readonly dataDir: string
  /** PostgreSQL 15 or later, for any number of instances with copies of one key file. */
  readonly databaseUrl?: string
  /** The secrets behind every token: back it up apart from the database. Default `keys.json` in `dataDir`. */
  readonly keyFile?: string
  /** Connections to PostgreSQL. Default 10. */
  readonly poolSize?: number
  /** 0: any free port (default). */
  readonly port?: number
  /** Default 127.0.0.1. */
  readonly host?: string
  /** The configuration itself, or the path of a JSON file that holds it. Default: no collections. */
  readonly config?: ServerConfig | string
  /**
   * `iss` of the access tokens: the public URL of the server, if generic OAuth clients are to find its endpoints. Kept from the first start on.
   * Default: a random URN.
   */
  readonly issuer?: string
  /** Decisions in code: who may read and write what, by collection. */
  readonly hooks?: Hooks
  /** Functions that users may call, and decisions about log-ins, mails and passwords. Goes before the module the configuration names. */
  readonly accountHooks?: AccountHooks
  /** Origins of the web apps that may call. Exact, such as `https://app.example.org`. */
  readonly origins?: readonly string[]
  readonly lifetimes?: Partial<Lifetimes>
  /** Serve `/v1/dev/…` to this machine. */
  readonly devRoutes?: boolean
  /** Default: none. The command sets its own. */
  readonly limits?: LimitSettings
  /** Proxies of one's own in front, whose `X-Forwarded-For` is believed. Default 0. */
  readonly proxyHops?: number
  /** Serves `/metrics` on a port of its own, on the same host. 0: any free port. Default: not served. */
  readonly metricsPort?: number
  /** Take commands of the administrator on a socket in `dataDir`, while the server runs. Default false. */
  readonly adminSocket?: boolean
  readonly log?: Log
  /** The server's clock, milliseconds since 1970. For tests. */
  readonly nowMs?: () => number
  /** For tests. */
  readonly passwordCost?: HashCost
  /** For tests: called before every statement; what it throws is the statement's failure. */
  readonly beforeStatement?: () => void
}

export interface RunningServer {
  /** Such as `http://127.0.0.1:4400`. */
  readonly url: string
  readonly metricsUrl: string | undefined
  readonly admin: Admin
  /** Ends streams, lets running requests finish, closes the database, releases the directory. Calling it again waits for the same end. */
  close(): Promise<void>
}

/** Of the wire; see `package.json` for the package's. */
const VERSION = '1'
/** How long running requests may take once the server closes. */
const DRAIN_MS = 5000
const PURGE_EVERY_MS = 6 * 3_600_000
/** Longer than the minute that proxies keep their connections, so that none sends into one that is just being closed. */
const KEEP_ALIVE_MS = 65_000

/**
 * Starts a server and resolves when it answers.
 *
 * @throws {DirectoryInUse} when another server owns the data directory
 * @throws {KeyFileProblem} when the key file does not belong to the database
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const database = await openDatabase(options, options.log ?? silentLog)
  const stopping = new AbortController()
  const listening: Server[] = []
  try {
    const services = await prepare(database, options, stopping.signal)
    const { port = 0, host = '127.0.0.1', metricsPort } = options
    const open = async (handler: FetchHandler, wanted: number) => {
      const http = await listen(handler, wanted, host)
      listening.push(http)
      return urlOf(http, host)
    }
    const app = createApp(services, allRoutes(services))
    const url = await open((request, connection) => app.fetch(request, connection), port)
    const metrics = metricsPort === undefined ? undefined : await open(() => new Response(services.metrics.toText()), metricsPort)
    const admin = new Admin(services)
    if (options.adminSocket) {
      const socket = await listenForCommands(options.dataDir, { services, keyFile: keyFileOf(options) })
      if (socket) listening.push(socket)
    }
    const purging = setInterval(
      () => void admin.purge().catch((error: unknown) => services.log.error('purge-failed', error)),
      PURGE_EVERY_MS,
    )
    let closing: Promise<void> | undefined
    return {
      url,
      metricsUrl: metrics && `${metrics}/metrics`,
      admin,
      close: () => {
        stopping.abort()
        clearInterval(purging)
        closing ??= shutDown(listening, services, database)
        return closing
      },
    }
  } catch (error) {
    for (const http of listening) http.close()
    await database.close()
    throw error
  }
}

/**
 * Runs one command of the administrator on the database itself. Where a server runs on that directory, send it the command instead (`sendCommand`).
 *
 * @throws {DirectoryInUse} {KeyFileProblem} {ConfigProblem} {ApiError}
 */
export async function administer(options: ServerOptions, command: AdminCommand, tell: Pick<CommandContext, 'out' | 'err'>): Promise<void> {
  const database = await openDatabase(options, options.log ?? silentLog)
  const services = await prepare(database, options, new AbortController().signal).catch(async (error: unknown) => {
    await database.close()
    throw error
  })
  try {
    await runAdminCommand(command, { services, keyFile: keyFileOf(options), ...tell })
  } finally {
    await shutDown([], services, database)
  }
}

async function prepare({ db: opened, bus, engine }: OpenDatabase, options: ServerOptions, draining: AbortSignal): Promise<Services> {
  const { dataDir, origins = [], devRoutes = false, log = silentLog, nowMs = Date.now, limits, proxyHops = 0 } = options
  const { collections, seeds, accounts: accountsConfig } = loadConfig(options.config ?? {}, options.hooks)
  const accountHooks = options.accountHooks ?? (await loadAccountHooks(accountsConfig.hooks))
  await migrateToLatest(opened)
  const db = options.beforeStatement ? opened.withPlugin(new StatementHook(options.beforeStatement)) : opened
  const { issuer } = await readServerIdentity(db, options.issuer, nowMs())
  const keys = await loadServerKeys(keyFileOf(options), db)
  const signingKeys = await SigningKeys.load(db, keys, nowMs)
  await loadSeeds(db, seeds, nowMs())
  const streams = new StreamHub(bus, nowMs)
  const metrics = new Metrics()
  const hasher = new PasswordHasher(options.passwordCost)
  metrics.gauge('nightlatch_open_streams', () => streams.size)
  metrics.gauge('nightlatch_password_queue', () => hasher.waiting)
  metrics.gauge('process_resident_memory_bytes', () => process.memoryUsage.rss())
  return {
    db,
    issuer,
    keys,
    signingKeys,
    accessTokens: new AccessTokens(issuer, signingKeys, nowMs),
    lifetimes: { ...defaultLifetimes, ...options.lifetimes },
    hasher,
    accounts: openAccounts(accountsConfig, accountHooks, { db, keys, log, nowMs, dataDir }),
    collections,
    bus,
    streams,
    sweep: engine === 'postgresql' ? new Sweep(db, bus, streams, log) : undefined,
    log,
    nowMs,
    devRoutes,
    origins,
    proxyHops,
    limits: limits && new RequestLimits(limits),
    metrics,
    openApi: openApiDocument(allRoutes({ devRoutes }), VERSION),
    draining,
  }
}

const keyFileOf = ({ keyFile, dataDir }: ServerOptions) => keyFile ?? join(dataDir, 'keys.json')

type FetchHandler = Parameters<typeof getRequestListener>[0]

async function listen(handler: FetchHandler, port: number, host: string): Promise<Server> {
  const listener = getRequestListener(handler)
  const http = createServer((incoming, outgoing) => void listener(incoming, outgoing))
  http.keepAliveTimeout = KEEP_ALIVE_MS
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject)
    http.listen(port, host, () => {
      http.off('error', reject)
      resolve()
    })
  })
  return http
}

function urlOf(http: Server, host: string): string {
  const { port } = http.address() as AddressInfo
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

async function shutDown(
  servers: readonly Server[],
  { streams, sweep, signingKeys, accounts }: Services,
  database: OpenDatabase,
): Promise<void> {
  const drained = Promise.all(servers.map((http) => new Promise<void>((resolve) => void http.close(() => resolve()))))
  streams.close()
  const idle = setInterval(() => {
    for (const http of servers) http.closeIdleConnections() // a connection becomes idle when its last answer is out
  }, 20)
  const impatience = setTimeout(() => {
    for (const http of servers) http.closeAllConnections()
  }, DRAIN_MS)
  await drained
  clearInterval(idle)
  clearTimeout(impatience)
  signingKeys.close()
  await sweep?.close()
  await accounts.mailer.close()
  await database.close()
}
